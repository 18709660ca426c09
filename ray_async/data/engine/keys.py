"""Keys: hashes of rows that are the same for equal keys, in every process, whatever the types of the columns."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import hashable
from ray_async.data.block.columns import python_of

__all__ = ("key_hashes", "steady")

_Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
_NULL = 0x9E3779B97F4A7C15
_BASE = 0xD6E8FEB86659FD93
#: Bytes of texts that are worked on at a time.
_PIECE_BYTES = 1 << 18


def steady(value: object) -> object:
    """A value whose text is the same for equal values."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < float("inf"):
        return int(value) if value == int(value) else value
    return hashable(value)


def key_hashes(table: pa.Table, keys: Sequence[str]) -> _Hashes:
    """A hash of each row's keys. Null is equal to null, NaN to NaN, 0.0 to -0.0, and 1 to 1.0."""
    found = np.zeros(table.num_rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            found = _mixed(found * np.uint64(31) + _hashes(table.column(key)))
    return found


def _mixed(state: _Hashes) -> _Hashes:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _hashes(column: pa.ChunkedArray) -> _Hashes:
    types, kind = pa.types, column.type
    if types.is_dictionary(kind):
        return _hashes(column.cast(kind.value_type))
    if types.is_temporal(kind):
        return _number_hashes(_nanoseconds(column))
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return _number_hashes(column)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return _text_hashes(column)
    return _object_hashes(python_of(column))


def _object_hashes(values: Sequence[object]) -> _Hashes:
    """Of values of any kind; of numbers and texts as of those in columns of their own."""
    found = np.empty(len(values), dtype=np.uint64)
    numbers = [index for index, value in enumerate(values) if isinstance(value, (int, float))]
    texts = [index for index, value in enumerate(values) if isinstance(value, str)]
    found[numbers] = _number_hashes(pa.chunked_array([pa.array([float(values[i]) for i in numbers], pa.float64())]))  # type: ignore[arg-type]
    found[texts] = _text_hashes(pa.chunked_array([pa.array([values[i] for i in texts], pa.large_string())]))
    for index in set(range(len(values))).difference(numbers, texts):
        value = values[index]
        found[index] = _NULL if value is None else zlib.crc32(repr(_plain(value)).encode())
    return found


def _plain(value: object) -> object:
    """A value in which equal numbers are written alike, however deep."""
    if isinstance(value, dict):
        return sorted((str(name), _plain(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return steady(value)


def _nanoseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as numbers that are equal for equal ones, whichever their units."""
    kind = column.type
    if pa.types.is_date32(kind):
        factor, numbers = 86_400 * 10**9, column.cast(pa.int32())
    elif pa.types.is_date64(kind):
        factor, numbers = 10**6, column.cast(pa.int64())
    elif pa.types.is_interval(kind):
        return pa.chunked_array([pa.array([hash(value) for value in column.to_pylist()], pa.int64())])
    else:
        factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
        numbers = column.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64())
    return pc.multiply(numbers.cast(pa.int64()), pa.scalar(factor, pa.int64()))  # one that is too large wraps around


def _number_hashes(column: pa.ChunkedArray) -> _Hashes:
    """By their values as floats, which are equal where numbers are; others may be as well."""
    floats = pc.cast(column, pa.float64(), safe=False)
    values = pc.fill_null(floats, 0.0).to_numpy() + 0.0  # -0.0 becomes 0.0
    values[np.isnan(values)] = np.nan
    found = _mixed(values.view(np.uint64))
    if column.null_count:
        found[pc.is_null(floats).to_numpy()] = np.uint64(_NULL)
    return found


def _text_hashes(column: pa.ChunkedArray) -> _Hashes:
    found = np.empty(len(column), dtype=np.uint64)
    first = 0
    for chunk in column.cast(pa.large_binary()).chunks:
        found[first : first + len(chunk)] = _bytes_hashes(chunk)
        first += len(chunk)
    if column.null_count:
        found[pc.is_null(column).to_numpy()] = np.uint64(_NULL)
    return found


def _bytes_hashes(texts: pa.Array) -> _Hashes:
    """Polynomials of the texts' bytes, as differences of running sums over the bytes of all of them."""
    _, places, bytes_of_all = texts.buffers()
    ends = np.frombuffer(places, np.int64, len(texts) + 1, 8 * texts.offset) if len(texts) else np.zeros(1, np.int64)
    data = np.frombuffer(bytes_of_all, np.uint8) if bytes_of_all is not None else np.zeros(0, np.uint8)
    found = np.empty(len(texts), dtype=np.uint64)
    row = 0
    while row < len(texts):
        last = max(row + 1, int(np.searchsorted(ends, ends[row] + _PIECE_BYTES, "right")) - 1)
        starts, stops = ends[row:last] - ends[row], ends[row + 1 : last + 1] - ends[row]
        values = data[ends[row] : ends[last]].astype(np.uint64) + np.uint64(1)
        sums = np.zeros(len(values) + 1, dtype=np.uint64)
        np.cumsum(values * _powers(_BASE, len(values)), out=sums[1:])
        inverse = _powers(pow(_BASE, -1, 1 << 64), len(values) + 1)
        found[row:last] = _mixed((sums[stops] - sums[starts]) * inverse[starts] + (stops - starts).astype(np.uint64))
        row = last
    return found


def _powers(base: int, count: int) -> _Hashes:
    """The first powers of a number, modulo 2**64."""
    known = _known.get(base)
    if known is None or len(known) < count:
        factors = np.full(max(count, _PIECE_BYTES + 1), base, dtype=np.uint64)
        factors[0] = 1
        known = np.multiply.accumulate(factors)
        if count <= _PIECE_BYTES + 1:
            _known[base] = known
    return known[:count]


_known: dict[int, _Hashes] = {}
