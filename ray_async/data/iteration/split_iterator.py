"""Iterators over the parts of a streaming split, for consumers in any process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

import ray_async as ray
from ray_async.data.block.schema import concatenated
from ray_async.data.dataset.consuming import fitted
from ray_async.data.executor.blocks import table_of_piece
from ray_async.data.iteration.iterator import DataIterator
from ray_async.data.schema import Schema

__all__ = ("SplitIterator",)


class SplitIterator(DataIterator):
    """One part of a streaming split; it can be sent to tasks and actors. An epoch begins when all parts ask for it.

    Args:
        coordinator: the actor that runs the dataset.
        part: which part.
        parts: how many there are.
    """

    def __init__(self, coordinator: Any, part: int, parts: int) -> None:
        self._coordinator = coordinator
        self._part = part
        self._parts = parts

    def world_size(self) -> int:
        """The number of parts."""
        return self._parts

    def _tables(self, ahead: int, *, whole_blocks: bool = False) -> Iterator[pa.Table]:
        epoch = ray.get(self._coordinator.start_epoch.remote(self._part, os.getpid()))
        known: pa.Schema | None = None
        coming = self._coordinator.next.remote(self._part, epoch)
        while (bundle := ray.get(coming)) is not None:
            coming = self._coordinator.next.remote(self._part, epoch)
            tables = (table_of_piece(piece) for piece in bundle.pieces)
            for table in [concatenated(list(tables))] if whole_blocks and bundle.pieces else tables:
                known, table = fitted(known, table)
                yield table

    def schema(self) -> Schema | None:
        known = ray.get(self._coordinator.schema.remote())
        return Schema(known) if known is not None and len(known) else None

    def stats(self) -> str:
        return f"{self!r}: statistics are the coordinator's"

    def __repr__(self) -> str:
        return f"StreamSplitDataIterator({self._part} of {self._parts})"
