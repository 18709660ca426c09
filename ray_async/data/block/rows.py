"""Rows: dicts of Python values, read from and collected into Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import column_of_values, python_of

__all__ = ("rows_of", "table_of_rows")


def rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table, each a new dict from column name to Python value."""
    names = table.column_names
    if not names:
        return iter([{} for _ in range(table.num_rows)])
    columns = [python_of(column) for column in table.columns]
    return _maker(len(names))(tuple(names), *columns)


@lru_cache(maxsize=512)
def _maker(width: int) -> Callable[..., Iterator[dict[str, Any]]]:
    """A function that makes the dicts of rows with so many columns; a dict display is three times as fast as zip."""
    keys = ", ".join(f"k{i}" for i in range(width))
    values = ", ".join(f"v{i}" for i in range(width))
    items = ", ".join(f"k{i}: v{i}" for i in range(width))
    columns = ", ".join(f"c{i}" for i in range(width))
    source = f"def rows(names, {columns}):\n    {keys}, = names\n    return "
    source += f"({{{items}}} for {values}, in zip({columns}))"
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace["rows"]  # type: ignore[no-any-return]


def table_of_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of rows; columns in order of first appearance, what a row lacks is null.

    Args:
        rows: mappings from column name to value.

    Raises:
        TypeError: A column's name is no text.
    """
    names = _names(rows)
    columns = [column_of_values([row.get(name) for row in rows]) for name in names]
    if not names:
        return empty_rows(len(rows))
    return pa.Table.from_arrays(columns, names=names)


def empty_rows(count: int) -> pa.Table:
    """A table of so many rows and no column."""
    table = pa.table({"_": pa.nulls(count)})
    return table.select([])


def _names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    names: dict[Any, None] = {}
    last: Any = None
    for row in rows:
        keys = row.keys()
        if keys != last:
            names.update(zip(keys, repeat(None), strict=False))
            last = keys
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"names of columns are texts, but a row has {name!r}, which is {type(name).__name__}")
    return list(names)
