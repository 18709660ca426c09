"""The device libraries, each imported when the first array of its kind is met."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray_async.gpu.backend import DeviceBackend

__all__ = ("backend_named",)


_HOMES = {
    "fake": "ray_async.gpu.fake.backend",
}


@cache
def backend_named(name: str) -> DeviceBackend:
    """The library behind arrays of a kind.

    Raises:
        ImportError: it is not installed here.
    """
    backend: DeviceBackend = import_module(_HOMES[name]).make_backend()
    return backend
