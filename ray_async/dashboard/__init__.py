"""The dashboard: a process that shows what a node does, to browsers and over HTTP. It is started on demand."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
