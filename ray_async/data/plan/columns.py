"""Names of columns: checked before anything runs, with the names that may have been meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ray_async.data.exceptions import UnknownColumnError

__all__ = ("check_columns", "listed")


def check_columns(names: Iterable[str], known: Sequence[str] | None) -> None:
    """Refuse names of columns that are not there; nothing is refused where the columns are not known yet.

    Raises:
        UnknownColumnError: A name is not among the known ones.
    """
    if known is None:
        return
    there = set(known)
    for name in names:
        if name in there:
            continue
        close = get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UnknownColumnError(f"there is no column {name!r} among {listed(known)}{hint}")


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first twenty."""
    if not names:
        return "no columns"
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown} and {len(names) - 20} more" if len(names) > 20 else shown
