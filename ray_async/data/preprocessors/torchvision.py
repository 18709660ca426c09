"""Transforms of torchvision, and of others that make tensors of arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor, check_outputs
from ray_async.data.sources.optional import library

__all__ = ("TorchVisionPreprocessor",)


class TorchVisionPreprocessor(Preprocessor):
    """Pictures through a transform of torchvision's.

    Args:
        columns: columns of arrays.
        transform: from an array of height, width and channels, or with ``batched`` a tensor of all rows, to a tensor.
        output_columns: their new names; the same by default.
        batched: whether the transform takes all rows of a batch at once.
    """

    _is_fittable = False
    _keeps_form = True

    def __init__(
        self,
        columns: Sequence[str],
        transform: Callable[[Any], Any],
        output_columns: Sequence[str] | None = None,
        batched: bool = False,
    ) -> None:
        self.columns = list(columns)
        self.output_columns = check_outputs(columns, output_columns)
        self.torchvision_transform = transform
        self.batched = batched

    def _transform_numpy(self, batch: dict[str, Any]) -> dict[str, Any]:
        check_columns(self.columns, list(batch))
        made = [self._of_column(batch[name]) for name in self.columns]
        batch.update(zip(self.output_columns, made, strict=True))
        return batch

    def _of_column(self, arrays: Any) -> Any:
        if self.batched:
            torch = library("torch", "torch", "TorchVisionPreprocessor")
            found = self.torchvision_transform(torch.as_tensor(np.array(arrays)))
            return found.numpy(force=True) if hasattr(found, "numpy") else np.asarray(found)
        values = [self.torchvision_transform(np.array(array)) for array in arrays]
        pieces = [value.numpy(force=True) if hasattr(value, "numpy") else np.asarray(value) for value in values]
        if len({piece.shape for piece in pieces}) == 1:
            return np.stack(pieces)
        found = np.empty(len(pieces), dtype=object)
        found[:] = pieces
        return found
