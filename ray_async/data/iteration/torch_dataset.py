"""Datasets of torch over a dataset: iterable ones, which loaders with several processes share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ray_async.data.sources.optional import library

__all__ = ("Features", "torch_dataset")

#: Columns of the features: all, a list of them, several lists, or a list under each of several names.
Features = list[str] | list[list[str]] | dict[str, list[str]] | None


def torch_dataset(batches: Callable[[], Iterable[Any]]) -> Any:
    """An iterable dataset of torch.

    Args:
        batches: begins an iteration.
    """
    data = library("torch.utils.data", "torch", "to_torch")

    class TorchIterableDataset(data.IterableDataset):  # type: ignore[misc, name-defined]
        """Batches of a dataset. Of a loader's processes each has a part of the rows: `loaders` sees to that."""

        def __iter__(self) -> Iterator[Any]:
            yield from batches()

    return TorchIterableDataset()


def labelled(
    batch: Mapping[str, Any], label: str | None, features: Features, *, unsqueeze_label: bool, unsqueeze_features: bool
) -> tuple[Any, Any]:
    """The tensors of the features, put together side by side, and the tensor of the label, None without one."""
    torch = library("torch", "torch", "to_torch")

    def joined(names: list[str]) -> Any:
        parts = [batch[name] for name in names]
        if unsqueeze_features:
            parts = [part.unsqueeze(1) if part.dim() == 1 else part for part in parts]
        return torch.cat(parts, dim=1) if parts[0].dim() > 1 else torch.stack(parts, dim=1)

    target = None if label is None else batch[label]
    if target is not None and unsqueeze_label and target.dim() == 1:
        target = target.unsqueeze(1)
    if features is None:
        return joined([name for name in batch if name != label]), target
    if isinstance(features, Mapping):
        return {key: joined(list(names)) for key, names in features.items()}, target
    if features and isinstance(features[0], (list, tuple)):
        return [joined(list(names)) for names in features], target
    return joined([str(name) for name in features]), target
