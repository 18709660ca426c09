"""Streamed datasets of Hugging Face ``datasets``, read by their shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.sources.base import Parallelism, RowSource

__all__ = ("HuggingFaceSource",)

_ROWS = 1_000


@dataclass(frozen=True)
class HuggingFaceSource(RowSource):
    """An `IterableDataset`; each call reads some of its shards.

    Attributes:
        dataset: the dataset.
    """

    dataset: Any
    name = "HuggingFace"

    def schema(self) -> pa.Schema | None:
        features = self.dataset.features
        return None if features is None else features.arrow_schema.remove_metadata()

    def count(self) -> None:
        return None

    def size(self) -> None:
        return None

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, int]]:
        count = max(1, min(self.dataset.num_shards, parallelism.blocks or 2 * parallelism.cpus))
        return [(index, count) for index in range(count)]

    def read(self, params: tuple[int, int]) -> Iterator[pa.Table]:
        index, count = params
        shard = self.dataset if count == 1 else self.dataset.shard(num_shards=count, index=index, contiguous=True)
        for table in shard.with_format("arrow").iter(batch_size=_ROWS):
            yield table.replace_schema_metadata(None)
