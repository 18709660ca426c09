"""Tensors of torch made of batches of arrays, never sharing memory with a block that others read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ("Tensors",)


@dataclass
class Tensors:
    """Makes tensors of batches.

    Attributes:
        dtypes: a dtype for all columns, or one for each.
        device: where they go.
        pin_memory: whether they go through page-locked memory.
    """

    dtypes: Any = None
    device: Any = "auto"
    pin_memory: bool = False

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        return {name: self._tensor(name, array) for name, array in batch.items()}

    def _tensor(self, name: str, array: np.ndarray[Any, Any]) -> Any:
        import torch

        if array.dtype == object:
            array = _stacked(name, array)
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"column {name!r} is {array.dtype}, for which torch has no type: drop it, or use collate_fn"
            )
        tensor = torch.from_numpy(array.copy() if not array.flags.writeable else array)
        dtype = self.dtypes.get(name) if isinstance(self.dtypes, Mapping) else self.dtypes
        if dtype is not None:
            tensor = tensor.to(dtype)
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.pin_memory and torch.cuda.is_available():
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=self.pin_memory) if str(device) != "cpu" else tensor


def _stacked(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    try:
        found = np.stack([np.asarray(value) for value in array])
    except ValueError:
        raise TypeError(
            f"column {name!r} has arrays of different shapes, of which torch makes no tensor: use collate_fn"
        ) from None
    return found
