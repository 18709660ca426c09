"""A namespace, empty: kept for programs that import Ray's private helpers by name, as `ray._common.NAME`."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
