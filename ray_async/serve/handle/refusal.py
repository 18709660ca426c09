"""Marks by which a replica says whether it takes a call; each arrives as the same object that it was sent as."""

from __future__ import annotations

from typing import Any

__all__ = ("ACCEPTED", "REFUSED", "Mark")


class Mark:
    """A value that is itself in every process.

    Args:
        name: Its name in this module.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> Any:
        return self._name

    def __repr__(self) -> str:
        return self._name


ACCEPTED = Mark("ACCEPTED")
REFUSED = Mark("REFUSED")
