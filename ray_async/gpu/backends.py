"""The device libraries, each imported when the first array of its kind is met."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray_async.gpu.backend import Backend

__all__ = ("backend_named",)


@cache
def backend_named(name: str) -> Backend:
    """The library behind arrays of a kind: "cuda" or "fake".

    Raises:
        ValueError: there is none of that name.
        ImportError: it is not installed here.
    """
    if name == "fake":
        from ray_async.gpu.fake.backend import FakeBackend

        return FakeBackend()
    if name == "cuda":
        from ray_async.gpu.cuda.backend import CudaBackend

        return CudaBackend()
    raise ValueError(f"no device library is called {name!r}")
