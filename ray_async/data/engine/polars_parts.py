"""Frames of Polars as Arrow tables, part by part: cut, gathered in an order, or brought back into one.

Each part is made when its turn has come, two at a time, so that there is no second whole frame, and the memory of one
part serves the next: fresh pages cost more than what is written to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from ray_async.data.block.schema import conformed
from ray_async.data.engine.lookups import KeyPlaces

if TYPE_CHECKING:
    import polars as pl

__all__ = ("Part", "gathered", "looked_up", "place_of", "restored", "sliced", "tables_of")

#: Makes a table of some rows, with the columns and types that it is given.
Part: TypeAlias = Callable[[pa.Schema], pa.Table]

#: Bytes of Polars' columns that become Arrow's at a time.
PART_BYTES = 64 << 20
_AT_ONCE = 2
#: Rows that are sorted together, where they need not be more: few enough for the caches.
_RUN_ROWS = 1 << 17


def tables_of(parts: list[Part], schema: pa.Schema) -> Iterator[pa.Table]:
    """The parts as Arrow tables, in order.

    Args:
        parts: what makes them.
        schema: the tables' columns and their types; a frame may have others beside.
    """
    if len(parts) == 1:
        yield parts[0](schema)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ready: deque[Future[pa.Table]] = deque()
        for part in parts:
            ready.append(pool.submit(part, schema))
            if len(ready) > _AT_ONCE:
                yield ready.popleft().result()
        while ready:
            yield ready.popleft().result()


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    import polars as pl

    found = frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.newest())
    return conformed(found, schema).combine_chunks()


def sliced(frame: pl.DataFrame) -> list[Part]:
    """A frame's rows as they are."""

    def part(start: int, stop: int, schema: pa.Schema) -> pa.Table:
        return _table(frame.slice(start, stop - start), schema)

    return [partial(part, start, stop) for start, stop in _bounds(frame.height, int(frame.estimated_size()))]


def gathered(frame: pl.DataFrame, order: pl.Series) -> list[Part]:
    """A frame's rows in an order.

    Args:
        frame: the rows, each column in one piece.
        order: the number of the row that comes first, of the next, and so on.
    """

    def part(start: int, stop: int, schema: pa.Schema) -> pa.Table:
        return _table(frame[order.slice(start, stop - start)], schema)

    return [partial(part, start, stop) for start, stop in _bounds(frame.height, int(frame.estimated_size()))]


def looked_up(
    left: pl.DataFrame, right: pl.DataFrame, key: str, places: KeyPlaces, schema: pa.Schema, *, outer: bool
) -> list[Part]:
    """A frame's rows, in their order, each with the row of another frame that its key names.

    Args:
        left: the rows.
        right: what they refer to.
        key: the column of the left frame.
        places: where the right frame's rows are.
        schema: the result's columns.
        outer: whether rows stay that refer to none.
    """
    named = [name for name in schema.names if name in right.columns]
    others = _table(right, pa.schema([schema.field(name) for name in named]))

    def part(start: int, stop: int, schema: pa.Schema) -> pa.Table:
        rows = left.slice(start, stop - start)
        found = places.find(rows.get_column(key))
        missing = found < 0
        lacks = bool(missing.any())
        if lacks and not outer:
            rows, found = rows.filter(~missing), found[~missing]
        own = _table(rows, pa.schema([field for field in schema if field.name not in named]))
        given = others.take(pa.array(found, mask=missing if lacks and outer else None))
        columns = [(given if name in named else own).column(name) for name in schema.names]
        return pa.Table.from_arrays(columns, schema=schema)

    size = left.estimated_size() + left.height * right.estimated_size() // max(1, right.height)
    return [partial(part, start, stop) for start, stop in _bounds(left.height, int(size))]


def restored(frame: pl.DataFrame, major: str, minor: str) -> list[Part]:
    """A frame's rows in the order of two columns of numbers, which no two rows share both of.

    Polars works on a frame in pieces that follow each other in its input, and where it need not keep an order it loses
    that of the pieces, and of the rows within each. So the pieces are put in order, and then sorted, some at
    a time; those that overlap together.

    Args:
        frame: the rows.
        major: the column that comes first; without nulls.
        minor: the column that decides among rows of the same number; null comes first.
    """
    enough = max(1, frame.height // _count(frame.height, int(frame.estimated_size())))
    together = min(enough, _RUN_ROWS)
    runs: list[list[tuple[int, int]]] = []
    rows = end = 0
    for least, most, start, length in sorted(_ranges(frame.get_column(major))):
        if not runs or (least > end and rows + length > together):
            runs.append([])
            rows = 0
        runs[-1].append((start, length))
        rows += length
        end = max(end, most)
    if any(sum(length for _, length in run) > 2 * enough for run in runs):
        whole = frame.rechunk()
        return gathered(whole, whole.select(place_of(major, minor).arg_sort()).to_series())
    parts: list[list[list[tuple[int, int]]]] = []
    held = enough
    for run in runs:
        if held >= enough:
            parts.append([])
            held = 0
        parts[-1].append(run)
        held += sum(length for _, length in run)
    return [partial(_in_order, frame, part, major, minor) for part in parts] or sliced(frame)


def _ranges(numbers: pl.Series) -> Iterator[tuple[int, int, int, int]]:
    """Of each chunk its least and its largest number, where it starts, and how many it has."""
    start = 0
    for chunk in numbers.get_chunks():
        if len(chunk):
            yield int(chunk.min()), int(chunk.max()), start, len(chunk)  # type: ignore[arg-type]
        start += len(chunk)


def _in_order(
    frame: pl.DataFrame, runs: list[list[tuple[int, int]]], major: str, minor: str, schema: pa.Schema
) -> pa.Table:
    import polars as pl

    place, found = place_of(major, minor), []
    for run in runs:
        rows = pl.concat([frame.slice(start, length) for start, length in run], rechunk=True)
        order = rows.select(place.arg_sort().alias("order")).to_series().to_arrow()
        found.append(_table(rows, schema).take(order))  # of so few rows Arrow takes a fifth of Polars' time
    return pa.concat_tables(found).combine_chunks()


def place_of(major: str, minor: str) -> pl.Expr:
    """One number by which rows are in the order of two columns of numbers of 32 bits."""
    import polars as pl

    return pl.col(major).cast(pl.UInt64) * 2**32 + pl.col(minor).fill_null(0).cast(pl.UInt64)


def _count(rows: int, size: int) -> int:
    return max(1, min(rows, size // PART_BYTES))


def _bounds(rows: int, size: int) -> Iterator[tuple[int, int]]:
    parts = _count(rows, size)
    return pairwise(rows * index // parts for index in range(parts + 1))
