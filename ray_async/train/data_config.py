"""Data config: how datasets are divided among the workers of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("DataConfig",)


class DataConfig:
    """Division of datasets.

    Args:
        datasets_to_split: Names of those that are divided among the workers, or ``"all"``; each worker reads the whole
            of the others.
        execution_options: Accepted, and without effect: the defaults of Data hold.
        enable_shard_locality: Accepted, and without effect on one machine.

    Raises:
        TypeError: Neither ``"all"`` nor a list.
    """

    def __init__(
        self,
        datasets_to_split: str | Sequence[str] = "all",
        execution_options: Any = None,
        enable_shard_locality: bool = True,
    ) -> None:
        if datasets_to_split != "all" and isinstance(datasets_to_split, str):
            raise TypeError(f"datasets_to_split is 'all' or a list of names, but is {datasets_to_split!r}")
        self._split = datasets_to_split

    def configure(self, datasets: Mapping[str, Any], world_size: int) -> list[dict[str, Any]]:
        """What each worker gets, by name.

        Args:
            datasets: The datasets, or functions of nothing that make them.
            world_size: How many workers there are.
        """
        shards: list[dict[str, Any]] = [{} for _ in range(world_size)]
        for name, given in datasets.items():
            dataset = given() if callable(given) else given
            if self._split == "all" or name in self._split:
                parts = dataset.streaming_split(world_size, equal=True)
            else:
                parts = [dataset.iterator() for _ in range(world_size)]
            for own, part in zip(shards, parts, strict=True):
                own[name] = part
        return shards
