"""Resources: whether the node has what a replica asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

__all__ = ("Lack", "lack")


class Lack(Enum):
    """What a replica that waits may hope for."""

    NOTHING = "the node has it, and it is free"
    FREE = "the node has it, and others use it"
    EVER = "the node does not have it"


def lack(asked: Mapping[str, float], total: Mapping[str, float], free: Mapping[str, float]) -> Lack:
    """What is missing of what is asked for."""
    if any(value > total.get(key, 0) for key, value in asked.items()):
        return Lack.EVER
    if any(value > free.get(key, 0) for key, value in asked.items()):
        return Lack.FREE
    return Lack.NOTHING
