"""JSON files: an object in each line, one list of objects, or a single object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.rows import table_of_rows
from ray_async.data.block.tensors import PythonObjectType

__all__ = ("JSONReadFormat",)

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


@dataclass(frozen=True)
class JSONReadFormat:
    """JSON. Numbers are read exactly; a column of nothing but ISO times becomes one of times.

    Attributes:
        parse_options: `pyarrow.json.ParseOptions`: types of columns, and what becomes of columns that it does not name.
    """

    parse_options: Any = None
    name = "JSON"
    growth = 2.0
    compressed = True
    refuses_empty = False

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        text = content.to_pybytes().decode("utf-8-sig")
        rows = _rows(text, path)
        if not rows:
            return
        table = table_of_rows(rows)
        for index, (name, kind) in enumerate(zip(table.schema.names, table.schema.types, strict=True)):
            if isinstance(kind, PythonObjectType) and not _of_dicts(rows, name):
                raise ValueError(f"Failed to read JSON file: {path}: {_mixed(rows, name)}")
            if pa.types.is_string(kind):
                table = table.set_column(index, name, _with_times(table.column(index)))
        yield table if self.parse_options is None else self._as_asked(table, path)

    def schema(self) -> None:
        return None

    def _as_asked(self, table: pa.Table, path: str) -> pa.Table:
        """A table with the columns and types of the options; columns that the file lacks are null."""
        known, others = self.parse_options.explicit_schema, self.parse_options.unexpected_field_behavior
        if known is None:
            return table
        columns = {}
        for field in known:
            column = table.column(field.name) if field.name in table.column_names else pa.nulls(len(table))
            try:
                columns[field.name] = pc.cast(column, field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise ValueError(f"Failed to read JSON file: {path}: column {field.name!r}: {error}") from None
        unnamed = [name for name in table.column_names if name not in columns]
        if unnamed and others == "error":
            raise ValueError(f"Failed to read JSON file: {path}: {unnamed[0]!r} is not in the explicit schema")
        if others == "infer":
            columns |= {name: table.column(name) for name in unnamed}
        return pa.table(columns)


def _rows(text: str, path: str) -> list[dict[str, Any]]:
    start = text.lstrip()[:1]
    if start == "[":
        found = _lists(text)
        return _checked(_whole(text, path), path) if found is None else found
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == 1 or not rows:
                return _checked([_whole(text, path)], path)
            raise json.JSONDecodeError(f"{path}, line {number}: {error.msg}", error.doc, error.pos) from None
    return _checked(rows, path)


def _lists(text: str) -> list[dict[str, Any]] | None:
    """Rows of a file with a list of plain values in each of several lines, whose columns are numbered; else None."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) < 2:
        return None
    try:
        lists = [json.loads(line) for line in lines]
    except json.JSONDecodeError:
        return None
    if not all(isinstance(values, list) for values in lists):
        return None
    return [{str(index): value for index, value in enumerate(values)} for values in lists]


def _whole(text: str, path: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(f"{path}: {error.msg}", error.doc, error.pos) from None


def _checked(rows: list[Any], path: str) -> list[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise ValueError(f"Failed to read JSON file: {path}: object {number} is {type(row).__name__}, not a dict")
    return rows


def _of_dicts(rows: list[dict[str, Any]], name: str) -> bool:
    """Whether a column has dicts alone, whose fields differ so that no struct holds them; these stay as they are."""
    return all(row.get(name) is None or isinstance(row[name], dict) for row in rows)


def _mixed(rows: list[dict[str, Any]], name: str) -> str:
    """Where a column's kind changes."""
    first: type | None = None
    for number, row in enumerate(rows, 1):
        kind = type(row.get(name))
        if kind is type(None):
            continue
        first = first or kind
        if kind is not first and {kind, first} != {int, float}:
            return f"column {name!r} is {first.__name__} at first and {kind.__name__} in line {number}"
    return f"column {name!r} has values that no type holds"


def _with_times(column: pa.ChunkedArray) -> pa.ChunkedArray:
    values = [value for value in column.to_pylist() if value is not None]
    if not values:
        return column
    if all(_DATE.fullmatch(value) for value in values):
        return _cast(column, pa.date32())
    if not all(_TIME.fullmatch(value) for value in values):
        return column
    zoned = {bool(_ZONE.search(value[10:])) for value in values}
    if len(zoned) > 1:
        return column
    fine = any(len(value.partition(".")[2].rstrip("Z").split("+")[0].split("-")[0]) > 6 for value in values)
    return _cast(column, pa.timestamp("ns" if fine else "us", "UTC" if zoned.pop() else None))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        return pc.cast(column, kind)
    except pa.ArrowInvalid:  # 31 February: it stays a text
        return column
