"""Collate functions: objects that make of a batch what a training loop gets, and say in which form they take it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

__all__ = ("ArrowBatchCollateFn", "CollateFn", "NumpyBatchCollateFn", "PandasBatchCollateFn")

BatchT = TypeVar("BatchT")


class CollateFn(ABC, Generic[BatchT]):
    """The base of collate functions that are objects, for `iter_torch_batches`."""

    #: The batch format that it takes.
    batch_format: ClassVar[str] = "numpy"

    @abstractmethod
    def __call__(self, batch: BatchT) -> Any:
        """What the loop gets of a batch; tensors in it go to the device that the loop asks for."""


class ArrowBatchCollateFn(CollateFn[Any]):
    """A collate function of Arrow tables."""

    batch_format = "pyarrow"


class NumpyBatchCollateFn(CollateFn[Any]):
    """A collate function of dicts of NumPy arrays."""

    batch_format = "numpy"


class PandasBatchCollateFn(CollateFn[Any]):
    """A collate function of DataFrames."""

    batch_format = "pandas"
