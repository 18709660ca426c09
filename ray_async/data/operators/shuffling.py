"""Shuffling: random order, and other blocks.

All depends on the seed and the rows' numbers alone, not on the blocks; so a call that is run again gives the same.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.random_numbers import random_keys
from ray_async.data.block.schema import concatenated
from ray_async.data.executor.instructions import BarrierStep, StageCall, StageResult, Steps
from ray_async.data.operators.exchange import FINE_PARTS, Exchange, SplitRows, parts_of, parts_of_size
from ray_async.data.operators.map_operator import Value

__all__ = ("RandomOrderStrategy", "RandomizeBlocksStrategy", "RepartitionStrategy", "even_sizes")

_KEY = "\0key"


@dataclass(frozen=True)
class RandomParts:
    """The part of each row by its random key, which comes along as a column."""

    seed: int
    first_row: int

    def __call__(self, table: pa.Table) -> tuple[pa.Table, np.ndarray[Any, np.dtype[Any]], int]:
        keys = random_keys(self.seed, self.first_row, table.num_rows)
        part = keys >> np.uint64(64 - (FINE_PARTS - 1).bit_length())
        return table.append_column(_KEY, pa.array(keys)), part, FINE_PARTS


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
class RandomOrderStrategy(Exchange):
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

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        return (yield from self._last((StageCall(ShuffleWhole(self.seed), tuple(inputs[0])),)))

    def split(self, side: int, first_row: int, folder: str | None) -> SplitRows:
        return SplitRows(RandomParts(self.seed, first_row), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        ranges = parts_of_size(runs, min(self.block_bytes, self.call_bytes))
        calls = (StageCall(MergeRandomly(), (part,)) for part in parts_of(runs[0], ranges))
        return (yield from self._last(calls))

    def _last(self, calls: Iterable[StageCall]) -> Steps:
        """The calls that give the result, in as many blocks as are wanted."""
        results = yield BarrierStep(calls, last=self.blocks is None)
        if self.blocks is None:
            return ()
        whole = RowBundle.of(output for result in results for output in result.outputs)
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
