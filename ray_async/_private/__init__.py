"""Ray's private modules that programs import by name, as `ray._private.NAME`: the few that have a meaning here."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
