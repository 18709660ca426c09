"""The BLAS library that NumPy brings along."""

import ctypes
from typing import Any

import numpy as np

from ray_async.runtime.worker.thread_pools import loaded_pools

__all__ = ("n_threads", "path_of_blas")


def path_of_blas() -> str:
    """The file of the library."""
    assert np.ones((2, 2)).sum() == 4
    return next(path for path in loaded_pools() if "numpy" in path and "openblas" in path)


def n_threads() -> int:
    """How many threads it uses."""
    library: Any = ctypes.CDLL(path_of_blas())
    names = ("scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads", "openblas_get_num_threads")
    function = next(getattr(library, name) for name in names if hasattr(library, name))
    return int(function())
