"""Joining: rows of two tables whose keys are equal. Null equals nothing; numbers of all types are compared exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.gathering import rows_of_size
from ray_async.data.block.schema import concatenated, conformed, unified
from ray_async.data.block.tensors import PythonObjectType
from ray_async.data.engine.grouping import group_numbers

__all__ = ("JOIN_TYPES", "joined", "joined_names", "joined_slices", "key_schema")

JOIN_TYPES = (
    "inner",
    "left_outer",
    "right_outer",
    "full_outer",
    "left_semi",
    "right_semi",
    "left_anti",
    "right_anti",
)


def joined(
    left: pa.Table,
    right: pa.Table,
    left_on: Sequence[str],
    right_on: Sequence[str],
    how: str,
    left_suffix: str | None,
    right_suffix: str | None,
) -> pa.Table:
    """The join: rows in the order of the left table, and then of the right; those of the right alone come last.

    Arguments and errors are those of `joined_slices`.
    """
    return concatenated(list(joined_slices(left, right, left_on, right_on, how, left_suffix, right_suffix)))


def joined_slices(
    left: pa.Table,
    right: pa.Table,
    left_on: Sequence[str],
    right_on: Sequence[str],
    how: str,
    left_suffix: str | None,
    right_suffix: str | None,
    slice_bytes: int = 1 << 62,
) -> Iterator[pa.Table]:
    """The join, made a slice at a time: the right table is looked up for the rows of the left.

    Args:
        left: a table.
        right: another.
        left_on: its keys.
        right_on: the other's keys, as many.
        how: one of `JOIN_TYPES`.
        left_suffix: put behind names of the left that the right has too, keys apart.
        right_suffix: the same for the right.
        slice_bytes: size of a slice, about; a row of the left is in one slice with all that match it.

    Yields:
        At least one slice.

    Raises:
        TypeError: The keys cannot be compared.
        ValueError: Both have a column of one name, and no suffix tells them apart.
    """
    numbers, others = _numbers(left.select(list(left_on)), right.select(list(right_on)))
    if how in ("right_semi", "right_anti"):
        yield from _kept(right, _matched(others, numbers) == (how == "right_semi"), slice_bytes)
        return
    if how in ("left_semi", "left_anti"):
        yield from _kept(left, _matched(numbers, others) == (how == "left_semi"), slice_bytes)
        return
    alone = np.flatnonzero(~_matched(others, numbers)) if how in ("right_outer", "full_outer") else numbers[:0]
    sides = _Sides(left, right, (left_on, right_on), (left_suffix, right_suffix), right_alone=bool(len(alone)))
    del left, right
    rows = sides.rows_of_size(slice_bytes)
    some = False
    for found, matches in _pairs(numbers, others, rows, keep_all=how in ("left_outer", "full_outer")):
        yield sides.beside(found, matches)
        some = True
    for start in range(0, len(alone) or not some, rows):
        matches = alone[start : start + rows]
        yield sides.beside(np.full(len(matches), -1), matches)


def key_schema(left: pa.Schema, right: pa.Schema) -> pa.Schema:
    """The types in which keys of two tables, under the same names, are compared.

    Raises:
        TypeError: Keys cannot be compared, for instance numbers with texts.
    """
    found = unified([left, right])
    for name, kind in zip(found.names, found.types, strict=True):
        one, other = left.field(name).type, right.field(name).type
        if isinstance(kind, PythonObjectType) and not isinstance(one, PythonObjectType):
            raise TypeError(f"key {name!r} is {one} on the left and {other} on the right, which are never equal")
    return found


def _numbers(left: pa.Table, right: pa.Table) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For each row a number that equal keys share; -1 for keys with a null, which are equal to none."""
    names = [str(index) for index in range(left.num_columns)]
    left, right = left.rename_columns(names), right.rename_columns(names)
    left, right = _exact(left, right)
    schema = key_schema(left.schema, right.schema)
    both = pa.concat_tables([conformed(left, schema), conformed(right, schema)])
    numbers = group_numbers(both, names).to_numpy().copy()
    for column in both.columns:
        if column.null_count:
            numbers[pc.is_null(column).to_numpy()] = -1
    return numbers[: left.num_rows], numbers[left.num_rows :]


def _exact(left: pa.Table, right: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Integers beside floats: the floats become integers where they are some; others are equal to none."""
    for index in range(left.num_columns):
        one, other = left.column(index), right.column(index)
        if pa.types.is_integer(one.type) and pa.types.is_floating(other.type):
            right = right.set_column(index, str(index), _as_integers(other))
        elif pa.types.is_floating(one.type) and pa.types.is_integer(other.type):
            left = left.set_column(index, str(index), _as_integers(one))
    return left, right


def _as_integers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    column = column.cast(pa.float64())
    inside = pc.and_(pc.greater_equal(column, -(2.0**63)), pc.less(column, 2.0**63))
    whole = pc.and_(inside, pc.equal(column, pc.trunc(column)))
    return pc.if_else(pc.fill_null(whole, False), column, pa.scalar(None, pa.float64())).cast(pa.int64())


def _matched(numbers: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Of each row whether another one is equal."""
    found: np.ndarray[Any, Any] = np.isin(numbers, others) & (numbers >= 0)
    return found


def _pairs(
    numbers: np.ndarray[Any, Any], others: np.ndarray[Any, Any], most: int, *, keep_all: bool
) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Rows of the left with rows of the right that are equal; with ``keep_all`` also rows without any, beside -1.

    They come in slices of so many pairs at most, or of one row's.
    """
    order = np.argsort(others, kind="stable")
    known = others[order]
    starts = np.searchsorted(known, numbers, side="left")
    counts = np.searchsorted(known, numbers, side="right") - starts
    counts[numbers < 0] = 0
    ends = np.cumsum(np.maximum(counts, 1) if keep_all else counts)
    first, done = 0, 0
    while done < (ends[-1] if len(ends) else 0):
        stop = max(first + 1, int(np.searchsorted(ends, done + most, side="right")))
        yield _pairs_of(first, counts[first:stop], starts[first:stop], order, keep_all)
        first, done = stop, int(ends[stop - 1])


def _pairs_of(
    first: int,
    counts: np.ndarray[Any, Any],
    starts: np.ndarray[Any, Any],
    order: np.ndarray[Any, Any],
    keep_all: bool,
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The pairs of some rows of the left, whose first one has that number."""
    shown = np.maximum(counts, 1) if keep_all else counts
    rows = np.repeat(np.arange(len(counts)), shown)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(shown) - shown, shown)
    places = starts[rows] + within
    found = counts[rows] > 0
    matches = np.full(len(rows), -1, dtype=np.int64)
    matches[found] = order[places[found]]
    return rows + first, matches


def _kept(table: pa.Table, wanted: np.ndarray[Any, Any], slice_bytes: int) -> Iterator[pa.Table]:
    rows = rows_of_size(table, slice_bytes)
    for start in range(0, max(1, table.num_rows), rows):
        yield table.slice(start, rows).filter(pa.array(wanted[start : start + rows]))


class _Sides:
    """Both tables, whose rows are put side by side.

    Args:
        left: a table.
        right: another.
        keys: of both.
        suffixes: of both.
        right_alone: whether there are rows of the right without one of the left, whose keys then are the right's.
    """

    def __init__(
        self,
        left: pa.Table,
        right: pa.Table,
        keys: tuple[Sequence[str], Sequence[str]],
        suffixes: tuple[str | None, str | None],
        *,
        right_alone: bool,
    ) -> None:
        self._left = left
        self._right = right.combine_chunks()  # it is looked into anywhere, for every slice
        self._keys = keys
        self._right_alone = right_alone
        self._rest = [name for name in right.column_names if name not in keys[1]]
        names, more = joined_names(list(left.column_names), self._rest, keys[0], suffixes)
        self._names = [*names, *more]

    def rows_of_size(self, size: int) -> int:
        """How many rows side by side have about so many bytes."""
        each = [table.nbytes / max(1, table.num_rows) for table in (self._left, self._right)]
        return max(1, int(size / max(1.0, sum(each))))

    def beside(self, rows: np.ndarray[Any, Any], matches: np.ndarray[Any, Any]) -> pa.Table:
        """Rows of the left, in their order, beside rows of the right; -1 is for none."""
        first, end = (int(rows[0]), int(rows[-1]) + 1) if len(rows) and rows[-1] >= 0 else (0, 0)
        # Of chunks `take` makes one array first: here of those rows alone that it takes from.
        one = self._left.slice(first, end - first).take(_indices(np.where(rows < 0, -1, rows - first)))
        other = self._right.take(_indices(matches))
        if self._right_alone:
            one = self._with_keys_of(other, one, pa.array(rows < 0))
        columns = [*one.columns, *(other.column(name) for name in self._rest)]
        return pa.Table.from_arrays(columns, names=self._names)

    def _with_keys_of(self, other: pa.Table, one: pa.Table, alone: pa.Array) -> pa.Table:
        """The rows of the left, with the keys of the right where they have none."""
        for name, twin in zip(*self._keys, strict=True):
            index = one.column_names.index(name)
            schemas = [one.select([name]).schema, other.select([twin]).rename_columns([name]).schema]
            kind = unified(schemas).types[0]
            values = pc.if_else(alone, other.column(twin).cast(kind), one.column(name).cast(kind))
            one = one.set_column(index, name, values)
        return one


def _indices(rows: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(rows, mask=rows < 0)


def joined_names(
    left: list[str], right: list[str], keys: Sequence[str], suffixes: tuple[str | None, str | None]
) -> tuple[list[str], list[str]]:
    """The names of both sides' columns in the result.

    Raises:
        ValueError: Two would have the same.
    """
    both = set(left) & set(right)
    one = [name + (suffixes[0] or "") if name in both and name not in keys else name for name in left]
    other = [name + (suffixes[1] or "") if name in both else name for name in right]
    clash = sorted({name for name in one + other if (one + other).count(name) > 1})
    if clash:
        raise ValueError(f"both datasets have a column {', '.join(map(repr, clash))}: give left_suffix or right_suffix")
    return one, other
