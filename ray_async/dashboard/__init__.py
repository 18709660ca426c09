"""The dashboard, in Ray; there is none here."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
