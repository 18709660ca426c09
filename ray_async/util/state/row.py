"""One line of a listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ("StateRow",)


class StateRow(Mapping[str, Any]):
    """A description of one thing: its fields are items and attributes.

    Example:
        >>> row = StateRow({"state": "ALIVE"})
        >>> row.state, row["state"], row.get("pid")
        ('ALIVE', 'ALIVE', None)
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = dict(fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(f"this row has no field {name!r}; it has {', '.join(self._fields)}") from None

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def asdict(self) -> dict[str, Any]:
        """Give the fields as a dict of their own."""
        return dict(self._fields)

    def __repr__(self) -> str:
        return f"StateRow({self._fields})"
