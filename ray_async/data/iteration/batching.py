"""Batches for loops: of so many rows, drawn at random from a buffer if asked for, some made ahead of the loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa

from ray_async.data.block.schema import concatenated

__all__ = ("ahead_of", "check_batch_size", "shuffled")

T = TypeVar("T")


def check_batch_size(batch_size: int | None) -> None:
    """Refuse sizes that are none.

    Raises:
        ValueError: The size is not positive.
        TypeError: It is no whole number.
    """
    if batch_size is None:
        return
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise TypeError(f"batch_size must be a whole number or None, but is {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"Batch size must be positive, but is {batch_size}")


def shuffled(tables: Iterable[pa.Table], buffer_rows: int, batch_rows: int, seed: int | None) -> Iterator[pa.Table]:
    """Tables of so many rows, drawn at random from the rows that are in the buffer.

    Args:
        tables: the stream.
        buffer_rows: rows that the buffer has at least when rows are drawn, until the stream ends.
        batch_rows: rows of each table that comes out.
        seed: decides which; None: other rows each time.
    """
    random = np.random.default_rng(seed)
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        held.append(table)
        count += table.num_rows
        while count >= buffer_rows + batch_rows:
            chosen, rest = _drawn(concatenated(held), batch_rows, random)
            held, count = [rest], rest.num_rows
            yield chosen
    if count:
        whole = concatenated(held)
        whole = whole.take(pa.array(random.permutation(whole.num_rows)))
        for start in range(0, whole.num_rows, batch_rows):
            yield whole.slice(start, batch_rows)


def _drawn(table: pa.Table, rows: int, random: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    order = random.permutation(table.num_rows)
    return table.take(pa.array(order[:rows])), table.take(pa.array(order[rows:]))


def ahead_of(items: Iterator[T], count: int) -> Iterator[T]:
    """The same items, of which so many are made before they are asked for."""
    held: deque[T] = deque()
    for item in items:
        held.append(item)
        if len(held) > count:
            yield held.popleft()
    yield from held
