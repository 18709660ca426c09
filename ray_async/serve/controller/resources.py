"""Resources: whether the node has what a replica asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

__all__ = ("Lack", "asked_resources", "lack")

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


class Lack(Enum):
    """What a replica that waits may hope for."""

    NOTHING = "the node has it, and it is free"
    FREE = "the node has it, and others use it"
    EVER = "the node does not have it"


def asked_resources(options: Mapping[str, Any]) -> dict[str, float]:
    """The resources that actor options ask for, by the node's names."""
    asked = {_NAMES[key]: float(value) for key, value in options.items() if key in _NAMES and value}
    return asked | {key: float(value) for key, value in (options.get("resources") or {}).items() if value}


def lack(asked: Mapping[str, float], total: Mapping[str, float], free: Mapping[str, float]) -> Lack:
    """What is missing of what is asked for."""
    if any(value > total.get(key, 0) for key, value in asked.items()):
        return Lack.EVER
    if any(value > free.get(key, 0) for key, value in asked.items()):
        return Lack.FREE
    return Lack.NOTHING
