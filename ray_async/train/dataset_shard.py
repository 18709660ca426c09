"""Dataset shard: a worker's part of a dataset that a trainer was given."""

from __future__ import annotations

from typing import Any

from ray_async.air.session import current

__all__ = ("get_dataset_shard",)


def get_dataset_shard(dataset_name: str = "train") -> Any:
    """This worker's part of a dataset, with the ``iter_`` methods of Data's iterators.

    Args:
        dataset_name: Its name in the trainer's ``datasets``.

    Raises:
        KeyError: The trainer has none of that name.
        RuntimeError: Not in a training function of a trainer.
    """
    shards = getattr(current(), "shards", None)
    if shards is None:
        raise RuntimeError("get_dataset_shard() was called outside of the training function of a trainer")
    if dataset_name not in shards:
        raise KeyError(f"the trainer has no dataset {dataset_name!r}; it has {sorted(shards)}")
    return shards[dataset_name]
