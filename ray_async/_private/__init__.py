"""A namespace kept for programs that import Ray's private helpers by name, as `ray._private.NAME`; nearly empty."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_MODULES = ("client_mode_hook", "ray_constants")


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
