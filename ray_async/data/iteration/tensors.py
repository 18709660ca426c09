"""Tensors of torch made of batches of arrays, never sharing memory with a block that others read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_async.data.iteration.numbers import dtype_of, stacked

__all__ = ("Collated", "Tensors")


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

        array = stacked(name, array, "torch")
        tensor = torch.from_numpy(array.copy() if not array.flags.writeable else array)
        dtype = dtype_of(self.dtypes, name)
        if dtype is not None:
            tensor = tensor.to(dtype)
        return moved(tensor, self.device, pin_memory=self.pin_memory)


@dataclass
class Collated:
    """A collate function of the user's, and where the tensors of its results go.

    Attributes:
        function: the function.
        device: where tensors go; "auto" leaves them where the function made them, unless there is a GPU.
        pin_memory: whether they go through page-locked memory.
    """

    function: Callable[[Any], Any]
    device: Any = "auto"
    pin_memory: bool = False

    def __call__(self, batch: Any) -> Any:
        return self._moved(self.function(batch))

    def _moved(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._moved(item) for name, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self._moved(item) for item in value)
        if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "to"):
            return moved(value, self.device, pin_memory=self.pin_memory)
        return value


def moved(tensor: Any, device: Any, *, pin_memory: bool) -> Any:
    """A tensor on a device.

    Args:
        device: of torch's; "auto" is a GPU if this process has one, else the CPU.
        pin_memory: whether it goes through page-locked memory, where there is a GPU.
    """
    import torch

    gpu = (device == "auto" or pin_memory) and torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if gpu else "cpu"
    if device == "cpu" and tensor.is_cpu:
        return tensor.pin_memory() if pin_memory and gpu else tensor
    if pin_memory and gpu and tensor.is_cpu:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=pin_memory) if str(device) != str(tensor.device) else tensor
