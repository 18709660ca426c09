"""Suggestions for a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ("did_you_mean",)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that asks for the nearest known name, after a blank; empty where none is near.

    Example:
        >>> did_you_mean("num_cpu", ["num_cpus", "memory"])
        " Did you mean 'num_cpus'?"
    """
    from difflib import get_close_matches

    near = get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
