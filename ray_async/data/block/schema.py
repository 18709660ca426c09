"""Schemas: one for blocks and files that differ, and tables brought into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import python_of
from ray_async.data.block.tensors import PythonObjectType, RaggedTensorType, arrays_of, object_column, ragged_of

__all__ = ("check_no_mixture", "concatenated", "conformed", "unified")

_UNITS = ("s", "ms", "us", "ns")


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The schema that holds the rows of all of these: every column, each of a type that has room for all its values.

    Columns come in order of first appearance. Null gives way to any type, narrow numbers to wide ones, int to float.
    Plain values of different kinds (int and text) are kept as Python objects.

    Raises:
        TypeError: A column cannot be both, for instance a time with and without a zone, or a number and a struct.
    """
    fields: dict[str, pa.DataType] = {}
    for schema in schemas:
        for name, kind in zip(schema.names, schema.types, strict=True):
            known = fields.get(name)
            fields[name] = kind if known is None or known == kind else _unified_type(known, kind, name, top=True)
    return pa.schema(list(fields.items()))


def _unified_type(one: pa.DataType, other: pa.DataType, path: str, top: bool = False) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for first, second in ((one, other), (other, one)):
        if pa.types.is_dictionary(first):
            return _unified_type(first.value_type, second, path, top)
    found = _numbers(one, other) or _texts(one, other) or _times(one, other) or _nested(one, other, path)
    if found is not None:
        return found
    plain = not any(pa.types.is_nested(kind) or isinstance(kind, RaggedTensorType) for kind in (one, other))
    if isinstance(one, PythonObjectType) or isinstance(other, PythonObjectType):
        return PythonObjectType()
    if top and plain and not (pa.types.is_timestamp(one) and pa.types.is_timestamp(other)):
        return PythonObjectType()
    raise TypeError(f"column {path!r} is {one} in some blocks and {other} in others, and no type holds both")


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_integer(one) and types.is_integer(other):
        signed = types.is_signed_integer(one) or types.is_signed_integer(other)
        width = max(one.bit_width, other.bit_width)
        if signed and types.is_signed_integer(one) != types.is_signed_integer(other):
            unsigned = one if not types.is_signed_integer(one) else other
            width = min(64, max(width, 2 * unsigned.bit_width))
        names = {8: "int8", 16: "int16", 32: "int32", 64: "int64"}
        return pa.type_for_alias(names[width] if signed else "u" + names[width])
    if types.is_floating(one) and types.is_floating(other):
        return one if one.bit_width >= other.bit_width else other
    for first, second in ((one, other), (other, one)):
        if types.is_floating(first) and types.is_integer(second):
            return pa.float64()
        if types.is_decimal(first) and types.is_floating(second):
            return pa.float64()
        if types.is_decimal(first) and types.is_integer(second):
            return _decimal(max(19, first.precision - first.scale), first.scale)
    if types.is_decimal(one) and types.is_decimal(other):
        scale = max(one.scale, other.scale)
        return _decimal(max(one.precision - one.scale, other.precision - other.scale), scale)
    return None


def _decimal(before: int, scale: int) -> pa.DataType:
    """The decimal type with so many digits before and behind the point."""
    digits = before + scale
    return pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(min(76, digits), scale)


def _texts(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    text = (pa.string(), pa.large_string(), pa.string_view())
    if one in text and other in text:
        return pa.large_string() if pa.large_string() in (one, other) else pa.string()
    binary = (pa.binary(), pa.large_binary(), pa.binary_view())
    if one in binary and other in binary:
        return pa.large_binary() if pa.large_binary() in (one, other) else pa.binary()
    return None


def _times(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_timestamp(one) and types.is_timestamp(other) and (one.tz is None) == (other.tz is None):
        return pa.timestamp(_finer(one.unit, other.unit), one.tz if one.tz == other.tz else "UTC")
    if types.is_duration(one) and types.is_duration(other):
        return pa.duration(_finer(one.unit, other.unit))
    if types.is_date(one) and types.is_date(other):
        return pa.date64()
    for first, second in ((one, other), (other, one)):
        if types.is_timestamp(first) and first.tz is None and types.is_date(second):
            return first
    if types.is_time(one) and types.is_time(other):
        return pa.time64("ns") if "ns" in (one.unit, other.unit) else pa.time64("us")
    return None


def _finer(one: str, other: str) -> str:
    return max(one, other, key=_UNITS.index)


def _nested(one: pa.DataType, other: pa.DataType, path: str) -> pa.DataType | None:
    types = pa.types
    tensors = (pa.FixedShapeTensorType, RaggedTensorType)
    if isinstance(one, tensors) and isinstance(other, tensors):
        value = _numbers(one.value_type, other.value_type) or one.value_type
        return RaggedTensorType(value)
    if types.is_struct(one) and types.is_struct(other):
        fields = {field.name: field.type for field in one}
        for field in other:
            known = fields.get(field.name)
            inner = f"{path}.{field.name}"
            fields[field.name] = field.type if known is None else _unified_type(known, field.type, inner)
        return pa.struct(list(fields.items()))
    if types.is_map(one) and types.is_map(other):
        key = _unified_type(one.key_type, other.key_type, f"{path}.key")
        return pa.map_(key, _unified_type(one.item_type, other.item_type, f"{path}.value"))
    if _is_list(one) and _is_list(other):
        value = _unified_type(one.value_type, other.value_type, f"{path}.item")
        large = types.is_large_list(one) or types.is_large_list(other)
        return pa.large_list(value) if large else pa.list_(value)
    return None


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)  # type: ignore[no-any-return]


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table with the columns and types of a schema that `unified` made of the table's own and others.

    Raises:
        pa.ArrowInvalid: A value does not fit, for instance a date beyond the range of nanoseconds.
    """
    if table.schema.equals(schema):
        return table
    if not schema.names:
        return table
    indices = {name: index for index, name in enumerate(table.column_names)}
    columns = []
    for name, kind in zip(schema.names, schema.types, strict=True):
        if name in indices:
            columns.append(_conformed_column(table.column(indices[name]), kind))
        else:
            columns.append(_nulls(table.num_rows, kind))
    return pa.Table.from_arrays(columns, schema=schema)


def _nulls(count: int, kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.nulls(count, kind.storage_type))
    return pa.nulls(count, kind)


def _conformed_column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    if column.type == kind:
        return column
    if column.null_count == len(column):
        return _nulls(len(column), kind)
    if isinstance(kind, PythonObjectType):
        return object_column(python_of(column))
    if isinstance(kind, RaggedTensorType):
        found = ragged_of(arrays_of(column))
        return found if found.type == kind else ragged_of([_retyped(array, kind) for array in arrays_of(column)])
    if pa.types.is_nested(kind):
        return pa.chunked_array([_conformed_array(chunk, kind) for chunk in column.chunks], type=kind)
    return column.cast(kind)


def _retyped(array: Any, kind: RaggedTensorType) -> Any:
    return None if array is None else array.astype(kind.value_type.to_pandas_dtype())


def _conformed_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """A nested array of a wider type; fields that it lacks are null, and a null struct stays one null."""
    if array.type == kind:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(kind):
        has = {field.name for field in array.type}
        parts = [
            _conformed_array(array.field(field.name), field.type)
            if field.name in has
            else _nulls(len(array), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _conformed_list(array, kind)
    return array.cast(kind)


def _conformed_list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(array.type):
        array = array.cast(pa.list_(array.type.value_type))
    values = _conformed_array(array.flatten(), kind.value_type)
    lengths = array.value_lengths().fill_null(0).to_pylist()
    offsets, total = [0], 0
    for length in lengths:
        total += length
        offsets.append(total)
    wide = pa.types.is_large_list(kind)
    build = pa.LargeListArray if wide else pa.ListArray
    index = pa.array(offsets, type=pa.int64() if wide else pa.int32())
    return build.from_arrays(index, values, type=kind, mask=array.is_null())


def check_no_mixture(whole: pa.Schema, schemas: Sequence[pa.Schema]) -> None:
    """Refuse columns that some have as values of one kind and others as values of another.

    Args:
        whole: what `unified` made of them.
        schemas: the schemas.

    Raises:
        TypeError: There is such a column.
    """
    for name, kind in zip(whole.names, whole.types, strict=True):
        if not isinstance(kind, PythonObjectType):
            continue
        kinds = {schema.field(name).type for schema in schemas if name in schema.names}
        if not any(isinstance(found, PythonObjectType) for found in kinds):
            shown = " and ".join(sorted(str(found) for found in kinds if not pa.types.is_null(found)))
            raise TypeError(f"column {name!r} is {shown} in different blocks: files have no type for both")


def concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """One table of the rows of several, in one schema; tables that have neither rows nor columns do not count.

    Raises:
        TypeError: The schemas cannot be unified.
    """
    if len(tables) == 1:
        return tables[0]
    telling = [table for table in tables if table.num_rows or table.num_columns]
    if not telling:
        return tables[0] if tables else pa.table({})
    if all(not table.num_columns for table in telling):
        return pa.table({"_": pa.nulls(sum(table.num_rows for table in telling))}).select([])
    first = telling[0].schema
    if all(table.schema.equals(first) for table in telling[1:]):
        return pa.concat_tables(telling)
    schema = unified(table.schema for table in telling)
    return pa.concat_tables([conformed(table, schema) for table in telling])
