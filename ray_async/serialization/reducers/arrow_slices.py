"""Slices of Arrow arrays, cut out of the buffers in which they lie.

An array is a tree, as pyarrow pickles it: (type, length, nulls, offset, buffers, children, dictionary). Buffers are cut
at multiples of eight rows, so that bitmaps need no shifting; up to seven rows before the slice remain. What has to be
copied is at most what points into other buffers (offsets, views), and only where what is cut off is larger.
Dictionaries stay whole: which values there are is part of an array's value. The layouts are those of "Arrow Columnar
Format", arrow.apache.org.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.serialization.reducers.arrow_views import cut_views

__all__ = ("Tree", "cut")

Tree = tuple[Any, int, int, int, list[Any], list[Any], Any]
# The buffers after the validity bitmap, and the children, of some rows.
Parts = tuple[list[Any], list[Any]]
Layout = Callable[[Any, list[Any], list[Any], int, int], Parts]

_UNKNOWN = -1


def cut(tree: Tree, start: int, length: int) -> Tree:
    """The tree of `length` rows from `start`, with as little of the buffers as that takes."""
    kind, whole, nulls, offset, buffers, children, dictionary = tree
    storage = kind
    while isinstance(storage, pa.BaseExtensionType):
        storage = storage.storage_type
    first = offset + start if length else 0
    if nulls and (start, length) != (0, whole):
        nulls = _UNKNOWN
    if dictionary is not None:
        dictionary = cut(dictionary, 0, dictionary[1])
    if pa.types.is_null(storage):
        return kind, length, length, 0, buffers, children, dictionary
    if pa.types.is_run_end_encoded(storage):
        return kind, length, 0, 0, buffers, _cut_runs(children, first, length), dictionary
    layout = _LAYOUTS.get(storage.id)
    if layout is None:
        return kind, length, nulls, first, buffers, children, dictionary
    before = first % 8
    begin, rows = first - before, before + length
    validity = None if nulls == 0 else _part(buffers[0], begin // 8, (rows + 7) // 8)
    parts, children = layout(storage, [validity, *buffers[1:]], children, begin, rows)
    return kind, length, nulls, before, [validity, *parts], children, dictionary


def _part(buffer: Any, start: int, size: int) -> Any:
    if buffer is None or (start == 0 and size >= buffer.size):
        return buffer
    return buffer.slice(start, max(0, min(size, buffer.size - start)))


def _integers(buffer: Any, width: int, start: int, count: int) -> Any:
    """Signed integers of `width` bytes out of a buffer; an empty array may have none, or no buffer."""
    if buffer is None or buffer.size < (start + count) * width:
        return np.zeros(count, f"i{width}")
    return np.frombuffer(buffer, f"i{width}", count, start * width)


def _size(tree: Tree) -> int:
    parts = [*tree[5], *([] if tree[6] is None else [tree[6]])]
    return sum(int(buffer.size) for buffer in tree[4] if buffer is not None) + sum(map(_size, parts))


def _cut_items(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Items of a fixed number of bits, indices of a dictionary included."""
    width = (storage.index_type if pa.types.is_dictionary(storage) else storage).bit_width
    return [_part(buffers[1], begin * width // 8, (rows * width + 7) // 8)], []


def _cut_bytes(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Strings and bytes: offsets into a buffer of data."""
    width = _WIDE.get(storage.id, 4)
    offsets = _integers(buffers[1], width, begin, rows + 1)
    low, high = int(offsets[0]), int(offsets[-1])
    if low < offsets.nbytes:
        low = 0  # to keep what lies before costs less than to copy the offsets
    return [_moved(buffers[1], offsets, width, begin, low), _part(buffers[2], low, high - low)], []


def _moved(buffer: Any, offsets: Any, width: int, begin: int, low: int) -> Any:
    if low:
        return pa.py_buffer(offsets - offsets.dtype.type(low))
    if buffer is None or buffer.size < (begin + len(offsets)) * width:
        return pa.py_buffer(offsets)
    return _part(buffer, begin * width, offsets.nbytes)


def _cut_lists(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Lists and maps: offsets into a child."""
    width = _WIDE.get(storage.id, 4)
    offsets = _integers(buffers[1], width, begin, rows + 1)
    low, high = int(offsets[0]), int(offsets[-1])
    if low * _size(children[0]) < offsets.nbytes * max(1, children[0][1]):
        low = 0
    cut_child = _cut_pairs if pa.types.is_map(storage) else cut
    return [_moved(buffers[1], offsets, width, begin, low)], [cut_child(children[0], low, high - low)]


def _cut_pairs(tree: Tree, start: int, length: int) -> Tree:
    """The struct of a map's keys and values, which has no offset and no nulls: readers of maps look past it."""
    fields = [cut(field, tree[3] + start, length) for field in tree[5]]
    return tree[0], length, 0, 0, [None], fields, None


def _cut_list_views(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Views of lists: offsets and sizes, in any order."""
    width = _WIDE.get(storage.id, 4)
    offsets = _integers(buffers[1], width, begin, rows)
    sizes = _integers(buffers[2], width, begin, rows)
    used = sizes > 0
    low = int(offsets.min(where=used, initial=children[0][1]))
    high = int((offsets + sizes).max(where=used, initial=low))
    if low == 0 and high == children[0][1]:
        parts = [_part(buffers[n], begin * width, rows * width) for n in (1, 2)]
    else:
        moved = np.where(used, offsets - offsets.dtype.type(low), 0).astype(offsets.dtype)
        parts = [pa.py_buffer(moved), _part(buffers[2], begin * width, rows * width)]
    return parts, [cut(children[0], low, high - low)]


def _cut_fields(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Structs: children of the same length."""
    return [], [cut(child, begin, rows) for child in children]


def _cut_fixed_lists(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Lists of one size: a child that is so much longer."""
    return [], [cut(children[0], begin * storage.list_size, rows * storage.list_size)]


def _cut_sparse_union(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Sparse unions: codes, and children of the same length."""
    return [_part(buffers[1], begin, rows)], [cut(child, begin, rows) for child in children]


def _cut_dense_union(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Dense unions: codes, and offsets into the child of each code."""
    codes = _integers(buffers[1], 1, begin, rows)
    offsets = _integers(buffers[2], 4, begin, rows).copy()
    parts = []
    for code, child in zip(storage.type_codes, children, strict=True):
        used = codes == code
        low = int(offsets.min(where=used, initial=child[1]))
        high = int(offsets.max(where=used, initial=low - 1)) + 1
        offsets[used] -= low
        parts.append(cut(child, low, high - low))
    return [_part(buffers[1], begin, rows), pa.py_buffer(offsets)], parts


def _cut_runs(children: list[Any], first: int, length: int) -> list[Any]:
    """Runs: their ends, counted from the array's beginning, and a value of each."""
    kind, count, _, offset, buffers, _, _ = ends_tree = children[0]
    width = kind.bit_width // 8
    ends = _integers(buffers[1], width, offset, count)
    if length == 0:
        return [cut(child, 0, 0) for child in children]
    low = int(np.searchsorted(ends, first, "right"))
    high = int(np.searchsorted(ends, first + length, "left")) + 1
    if first == 0 and high == count and int(ends[-1]) == length:
        return [cut(ends_tree, 0, count), cut(children[1], 0, count)]
    ends = np.minimum(ends[low:high].astype("i8") - first, length).astype(ends.dtype)
    return [(kind, high - low, 0, 0, [None, pa.py_buffer(ends)], [], None), cut(children[1], low, high - low)]


def _cut_string_views(storage: Any, buffers: list[Any], children: list[Any], begin: int, rows: int) -> Parts:
    """Views of strings: only those that are valid point to anything."""
    return cut_views(buffers[1:], buffers[0], begin, rows), []


def _layouts() -> dict[int, Layout]:
    """The layout of each type that this pyarrow knows."""
    table: dict[Layout, str] = {
        _cut_items: "BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 HALF_FLOAT FLOAT DOUBLE DATE32 DATE64 "
        "TIME32 TIME64 TIMESTAMP DURATION INTERVAL_MONTHS INTERVAL_DAY_TIME INTERVAL_MONTH_DAY_NANO DECIMAL32 "
        "DECIMAL64 DECIMAL128 DECIMAL256 FIXED_SIZE_BINARY DICTIONARY",
        _cut_bytes: "STRING BINARY LARGE_STRING LARGE_BINARY",
        _cut_lists: "LIST LARGE_LIST MAP",
        _cut_list_views: "LIST_VIEW LARGE_LIST_VIEW",
        _cut_fields: "STRUCT",
        _cut_fixed_lists: "FIXED_SIZE_LIST",
        _cut_sparse_union: "SPARSE_UNION",
        _cut_dense_union: "DENSE_UNION",
        _cut_string_views: "STRING_VIEW BINARY_VIEW",
    }
    found = {}
    for layout, names in table.items():
        for name in names.split():
            number = getattr(pa.lib, f"Type_{name}", None)
            if number is not None:
                found[number] = layout
    return found


_LAYOUTS = _layouts()
_WIDE = {
    getattr(pa.lib, f"Type_{name}", None): 8
    for name in ("LARGE_STRING", "LARGE_BINARY", "LARGE_LIST", "LARGE_LIST_VIEW")
}
