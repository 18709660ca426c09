"""A backend for joblib: `with joblib.parallel_backend("ray")` runs its batches in actors."""

from __future__ import annotations

from types import ModuleType

from ray_async.submodules import submodule

__all__ = ("register_ray",)


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)


def register_ray() -> None:
    """Make the backend known to joblib under the name "ray".

    Raises:
        ImportError: joblib is not installed.

    Example:
        >>> register_ray()
        >>> with joblib.parallel_backend("ray"):
        ...     joblib.Parallel()(joblib.delayed(abs)(i) for i in range(-3, 0))
        [3, 2, 1]
    """
    from joblib.parallel import register_parallel_backend

    from ray_async.util.joblib.backend import RayBackend

    register_parallel_backend("ray", RayBackend)
