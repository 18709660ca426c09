"""Batches on a GPU: columns as CuPy arrays, copied there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ("from_gpu", "is_on_gpu", "to_gpu")


def to_gpu(columns: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Columns on the current GPU; texts and other objects, which it cannot hold, stay NumPy arrays.

    Raises:
        ImportError: CuPy is not installed.
        RuntimeError: There is no GPU that it can use.
    """
    cupy = _cupy()
    return {name: values if values.dtype.kind in "OUSMm" else cupy.asarray(values) for name, values in columns.items()}


def is_on_gpu(values: Any) -> bool:
    """Whether values are a CuPy array."""
    return type(values).__module__.partition(".")[0] == "cupy" and hasattr(values, "get")


def from_gpu(values: Any) -> np.ndarray[Any, Any]:
    """The values of a CuPy array in memory."""
    found: np.ndarray[Any, Any] = values.get()
    return found


def _cupy() -> Any:
    try:
        import cupy  # type: ignore[import-not-found]  # it is an extra
    except ImportError as error:
        raise ImportError(
            "batch_format='cupy' needs CuPy where the function runs: pip install 'ray_async[gpu]', and give the stage "
            "a GPU with num_gpus=1"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # of CuPy's own types, which differ with its versions
        raise RuntimeError(f"batch_format='cupy' needs a GPU, and CuPy finds none: {error}") from error
    if not count:
        raise RuntimeError(
            "batch_format='cupy' needs a GPU, and this process sees none: give the stage one with num_gpus=1"
        )
    return cupy
