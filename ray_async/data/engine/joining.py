"""Joining: rows of two tables whose keys are equal. Null equals nothing; numbers of all types are compared exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.schema import conformed, unified
from ray_async.data.block.tensors import PythonObjectType
from ray_async.data.engine.grouping import group_numbers

__all__ = ("JOIN_TYPES", "joined", "joined_names", "key_schema")

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

    Args:
        left: a table.
        right: another.
        left_on: its keys.
        right_on: the other's keys, as many.
        how: one of `JOIN_TYPES`.
        left_suffix: put behind names of the left that the right has too, keys apart.
        right_suffix: the same for the right.

    Raises:
        TypeError: The keys cannot be compared.
        ValueError: Both have a column of one name, and no suffix tells them apart.
    """
    numbers, others = _numbers(left.select(list(left_on)), right.select(list(right_on)))
    if how in ("right_semi", "right_anti"):
        return _kept(right, others, numbers, how == "right_semi")
    if how in ("left_semi", "left_anti"):
        return _kept(left, numbers, others, how == "left_semi")
    rows, matches = _pairs(numbers, others, keep_all=how in ("left_outer", "full_outer"))
    if how in ("right_outer", "full_outer"):
        alone = np.flatnonzero(~np.isin(np.arange(right.num_rows), matches[matches >= 0]))
        rows = np.concatenate([rows, np.full(len(alone), -1)])
        matches = np.concatenate([matches, alone])
    return _side_by_side(left, right, rows, matches, (left_on, right_on), (left_suffix, right_suffix))


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


def _pairs(
    numbers: np.ndarray[Any, Any], others: np.ndarray[Any, Any], *, keep_all: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows of the left with rows of the right that are equal; with ``keep_all`` also rows without any, beside -1."""
    order = np.argsort(others, kind="stable")
    known = others[order]
    starts = np.searchsorted(known, numbers, side="left")
    counts = np.searchsorted(known, numbers, side="right") - starts
    counts[numbers < 0] = 0
    shown = np.maximum(counts, 1) if keep_all else counts
    rows = np.repeat(np.arange(len(numbers)), shown)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(shown) - shown, shown)
    places = starts[rows] + within
    found = counts[rows] > 0
    matches = np.full(len(rows), -1, dtype=np.int64)
    matches[found] = order[places[found]]
    return rows, matches


def _kept(table: pa.Table, numbers: np.ndarray[Any, Any], others: np.ndarray[Any, Any], matching: bool) -> pa.Table:
    matched = np.isin(numbers, others) & (numbers >= 0)
    return table.filter(pa.array(matched if matching else ~matched))


def _side_by_side(
    left: pa.Table,
    right: pa.Table,
    rows: np.ndarray[Any, Any],
    matches: np.ndarray[Any, Any],
    keys: tuple[Sequence[str], Sequence[str]],
    suffixes: tuple[str | None, str | None],
) -> pa.Table:
    one, other = left.take(_indices(rows)), right.take(_indices(matches))
    for name, twin in zip(*keys, strict=True):
        if (rows < 0).any():  # a key of the right alone
            index = one.column_names.index(name)
            kind = unified([left.select([name]).schema, right.select([twin]).rename_columns([name]).schema]).types[0]
            values = pc.if_else(pa.array(rows < 0), other.column(twin).cast(kind), one.column(name).cast(kind))
            one = one.set_column(index, name, values)
    rest = [name for name in right.column_names if name not in keys[1]]
    names, more = joined_names(list(left.column_names), rest, keys[0], suffixes)
    return pa.Table.from_arrays([*one.columns, *(other.column(name) for name in rest)], names=[*names, *more])


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
