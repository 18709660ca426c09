"""Interfaces that may still change."""

from __future__ import annotations

from types import ModuleType

from ray_async.experimental.locations import get_local_object_locations, get_object_locations
from ray_async.submodules import submodule

__all__ = ("get_local_object_locations", "get_object_locations")


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
