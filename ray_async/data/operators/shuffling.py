"""Shuffling: random order, and other blocks.

All depends on the seed and the rows' numbers alone, not on the blocks; so a call that is run again gives the same.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.random_numbers import random_keys
from ray_async.data.block.schema import concatenated
from ray_async.data.executor.instructions import BarrierStep, StageCall, Steps
from ray_async.data.operators.map_operator import Value

__all__ = ("RandomOrderStrategy", "RandomizeBlocksStrategy", "RepartitionStrategy", "even_sizes")

_KEY = "\0key"


@dataclass(frozen=True)
class SplitRandomly:
    """A bundle's rows in parts by their random keys, which come along as a column."""

    seed: int
    first_row: int
    parts: int

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated(inputs[0])
        keys = random_keys(self.seed, self.first_row, table.num_rows)
        table = table.append_column(_KEY, pa.array(keys))
        part = (keys >> np.uint64(32)) * np.uint64(self.parts) >> np.uint64(32)
        order = np.argsort(part, kind="stable")
        moved = table.take(pa.array(order))
        start = 0
        for size in np.bincount(part.astype(np.int64), minlength=self.parts).tolist():
            yield moved.slice(start, size)
            start += size


@dataclass(frozen=True)
class MergeRandomly:
    """Rows in the order of their random keys."""

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        order = np.argsort(table.column(_KEY).to_numpy(), kind="stable")
        yield table.drop_columns([_KEY]).take(pa.array(order))


@dataclass(frozen=True)
class ShuffleWhole:
    """All rows of one bundle in random order."""

    seed: int

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        if not table.num_columns:
            yield table
            return
        yield table.take(pa.array(np.argsort(random_keys(self.seed, 0, table.num_rows), kind="stable")))


@dataclass(frozen=True)
class RandomOrderStrategy:
    """Rows in random order.

    Attributes:
        seed: decides the order.
        blocks: blocks of the result; None for as many as the size asks for.
        block_bytes: size of a block.
        call_bytes: size up to which one call shuffles everything.
    """

    seed: int
    blocks: int | None
    block_bytes: int
    call_bytes: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        bundles = list(inputs[0])
        size = sum(bundle.bytes for bundle in bundles)
        if size <= self.call_bytes:
            results = yield BarrierStep((StageCall(ShuffleWhole(self.seed), tuple(bundles)),))
            parts = 1
        else:
            parts = -(-size // min(self.block_bytes, self.call_bytes))
            starts = np.concatenate([[0], np.cumsum([bundle.rows for bundle in bundles])]).tolist()
            splits = yield BarrierStep(
                tuple(
                    StageCall(SplitRandomly(self.seed, start, parts), (bundle,))
                    for start, bundle in zip(starts, bundles, strict=False)
                )
            )
            merge = MergeRandomly()
            results = yield BarrierStep(
                tuple(StageCall(merge, tuple(split.outputs[index] for split in splits)) for index in range(parts))
            )
        found = [output for result in results for output in result.outputs]
        if self.blocks is None:
            return found
        whole = RowBundle.of(found)
        return whole.cut(even_sizes(whole.rows, self.blocks))


def even_sizes(rows: int, parts: int) -> list[int]:
    """Sizes that differ by one row at most, the larger ones last."""
    bounds = [rows * index // parts for index in range(parts + 1)]
    return [stop - start for start, stop in itertools.pairwise(bounds)]


@dataclass(frozen=True)
class RepartitionStrategy:
    """The same rows in the same order, in other bundles: so many, or of so many rows each. No row is moved."""

    blocks: int | None
    rows: int | None

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield from ()
        whole = RowBundle.of(inputs[0])
        if self.blocks is not None:
            return whole.cut(even_sizes(whole.rows, self.blocks))
        assert self.rows is not None
        full, rest = divmod(whole.rows, self.rows)
        return whole.cut([self.rows] * full + [rest] * bool(rest))


@dataclass(frozen=True)
class RandomizeBlocksStrategy:
    """The same bundles in random order."""

    seed: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield from ()
        bundles = list(inputs[0])
        random.Random(self.seed).shuffle(bundles)
        return bundles
