"""Cutting: sorted runs, each cut at the same keys, so that what lies between two cuts is a part of the whole order.

Equal rows are told apart by where they are: by their run, then by their row. So parts are of even size however many
rows have the same key, and the order stays stable. Nulls are last and NaN before them, as in `ordering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import python_of
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.ordering import sorted_table

__all__ = ("Cut", "SortKeys", "cut_rows", "cuts_of", "with_places")

_RUN, _ROW = "\0run", "\0row"

#: A value that orders like its key: numbers and texts, then NaN, then null.
Rank: TypeAlias = tuple[int, Any]


@dataclass(frozen=True)
class SortKeys:
    """Columns to sort by, each with its direction."""

    names: tuple[str, ...]
    descending: tuple[bool, ...]


@dataclass(frozen=True)
class Cut:
    """A row that begins a part.

    Attributes:
        ranks: of its keys.
        run: the number of its run.
        row: its number in the run.
    """

    ranks: tuple[Rank, ...]
    run: int
    row: int


def with_places(keys: pa.Table, each: int) -> pa.Table:
    """Every so manyth row of a run's keys, with its number."""
    rows = pa.array(np.arange(0, keys.num_rows, each, dtype=np.int64))
    # Not `Table.take`: of a table without columns, as without keys, it gives no rows.
    columns = [column.take(rows) for column in keys.columns]
    return pa.Table.from_arrays([*columns, rows], names=[*keys.column_names, _ROW])


def cuts_of(keys: SortKeys, samples: Sequence[pa.Table], count: int) -> tuple[Cut, ...]:
    """Rows that cut the whole into so many parts of about the same size, or fewer.

    Args:
        keys: the keys.
        samples: of each run, as `with_places` gives them.
        count: how many parts.
    """
    numbered = [
        sample.append_column(_RUN, pa.array(np.full(sample.num_rows, run, dtype=np.int64)))
        for run, sample in enumerate(samples)
    ]
    names = list(keys.names)
    whole = sorted_table(concatenated(numbered), [*names, _RUN, _ROW], [*keys.descending, False, False])
    places = sorted({whole.num_rows * index // count for index in range(1, count)} - {0})
    chosen = whole.take(pa.array(places, type=pa.int64()))
    columns = [_Ranks(chosen.column(name)) for name in names]
    runs, rows = chosen.column(_RUN).to_pylist(), chosen.column(_ROW).to_pylist()
    return tuple(
        Cut(tuple(column[index] for column in columns), runs[index], rows[index]) for index in range(len(places))
    )


def cut_rows(run: pa.Table, keys: SortKeys, cuts: Sequence[Cut], number: int, whole_groups: bool) -> list[int]:
    """For each cut the first row of a sorted run that does not lie before it.

    Args:
        run: the keys of the run's rows.
        keys: the keys.
        cuts: the cuts.
        number: the run's.
        whole_groups: whether all rows with a cut's keys lie behind it, wherever they are.
    """
    columns = [_Ranks(run.column(name)) for name in keys.names]
    found: list[int] = []
    first = 0
    for cut in cuts:
        if not whole_groups and cut.run == number:
            first = cut.row
        else:
            first = _first_behind(columns, keys, cut, first, run.num_rows, not whole_groups and number < cut.run)
        found.append(first)
    return found


def _first_behind(columns: Sequence[_Ranks], keys: SortKeys, cut: Cut, low: int, high: int, equal_before: bool) -> int:
    while low < high:
        middle = (low + high) // 2
        order = _compared(columns, keys, middle, cut)
        if order < 0 or (order == 0 and equal_before):
            low = middle + 1
        else:
            high = middle
    return low


def _compared(columns: Sequence[_Ranks], keys: SortKeys, row: int, cut: Cut) -> int:
    for column, descending, (kind, value) in zip(columns, keys.descending, cut.ranks, strict=True):
        own_kind, own = column[row]
        if own_kind != kind:
            return -1 if own_kind < kind else 1
        if own != value:
            return 1 if (own < value) == descending else -1
    return 0


class _Ranks:
    """The ranks of a column's values, made as they are asked for.

    Args:
        column: the column.
    """

    def __init__(self, column: pa.ChunkedArray) -> None:
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = column.cast(kind.value_type), kind.value_type
        self._counted = pa.types.is_temporal(kind)
        self._values: Any = python_of(column) if isinstance(kind, pa.BaseExtensionType) else column

    def __getitem__(self, row: int) -> Rank:
        value = self._values[row]
        if isinstance(value, pa.Scalar):
            value = value.value if self._counted and value.is_valid else value.as_py()
        if value is None:
            return 2, 0
        return (0, value) if value == value else (1, 0)
