"""Data loaders of training workers: each reads its own part, on its own device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ray_async.train.context import get_context
from ray_async.train.torch.device import get_device

__all__ = ("prepare_data_loader",)


def prepare_data_loader(
    data_loader: Any, add_dist_sampler: bool = True, move_to_device: bool = True, auto_transfer: bool = True
) -> Any:
    """A data loader that gives each worker its own part of the data.

    Args:
        data_loader: The loader.
        add_dist_sampler: Whether its data is divided among the workers; ``loader.sampler.set_epoch(n)`` shuffles it
            anew in each epoch.
        move_to_device: Whether batches go to the worker's device.
        auto_transfer: Accepted: copies to a GPU do not wait where the loader's memory is pinned.
    """
    from torch.utils.data import DistributedSampler, IterableDataset

    whole = not isinstance(data_loader.sampler, DistributedSampler)
    divides = whole and not isinstance(data_loader.dataset, IterableDataset) and add_dist_sampler
    if get_context().get_world_size() > 1 and divides:
        data_loader = _divided(data_loader)
    device = get_device()
    if not move_to_device or device.type == "cpu":
        return data_loader
    return _OnDevice(data_loader, device)


def _divided(loader: Any) -> Any:
    from torch.utils.data import DataLoader, DistributedSampler, SequentialSampler

    shuffles = not isinstance(loader.sampler, SequentialSampler)
    return DataLoader(
        loader.dataset,
        batch_size=loader.batch_size,
        sampler=DistributedSampler(loader.dataset, shuffle=shuffles, drop_last=loader.drop_last),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        persistent_workers=loader.persistent_workers,
    )


class _OnDevice:
    """A loader whose batches go to a device.

    Args:
        loader: The loader.
        device: The device.
    """

    def __init__(self, loader: Any, device: Any) -> None:
        self._loader = loader
        self._device = device

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        return (self._moved(batch) for batch in self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def _moved(self, value: Any) -> Any:
        if hasattr(value, "to"):
            return value.to(self._device, non_blocking=True)
        if isinstance(value, Mapping):
            return {key: self._moved(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            parts = [self._moved(part) for part in value]
            # A named tuple takes its fields one by one.
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return value
