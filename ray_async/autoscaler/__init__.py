"""Asking for machines: there is one, so that requests are checked and have no effect."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
