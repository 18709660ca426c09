"""Functions of lists, maps, tensors, and of any value."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.columns import python_of

__all__ = ("as_lists", "hash_shares", "list_flattened", "list_sorted", "map_part")


def _array(value: Any) -> pa.Array:
    """A column as one array whose lists, if it has some, are of variable length."""
    found = value.combine_chunks() if isinstance(value, pa.ChunkedArray) else value
    if isinstance(found, pa.ChunkedArray):
        found = found.chunk(0) if found.num_chunks else pa.nulls(0, value.type)
    if pa.types.is_fixed_size_list(found.type):
        found = found.cast(pa.list_(found.type.value_type))
    if not (pa.types.is_list(found.type) or pa.types.is_large_list(found.type) or pa.types.is_map(found.type)):
        raise pa.ArrowTypeError(f"a list is needed, but the values are {found.type}")
    return found


def _lists_of(lengths: Any, values: pa.Array, nulls: Any, large: bool) -> pa.Array:
    """Lists of such lengths, filled with the values one after the other."""
    sizes = pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    build, index = (pa.LargeListArray, pa.int64()) if large else (pa.ListArray, pa.int32())
    return build.from_arrays(pa.array(offsets, type=index), values, mask=nulls)


def list_sorted(value: Any, order: str, null_placement: str) -> pa.Array:
    """Each list with its items in order."""
    lists = _array(value)
    items = lists.flatten()
    keyed = pa.table({"row": pc.list_parent_indices(lists), "null": items.is_null(), "item": items})
    nulls = "ascending" if null_placement == "at_end" else "descending"
    places = pc.sort_indices(keyed, sort_keys=[("row", "ascending"), ("null", nulls), ("item", order)])
    large = pa.types.is_large_list(lists.type)
    return _lists_of(pc.list_value_length(lists), items.take(places), lists.is_null(), large)


def list_flattened(value: Any) -> pa.Array:
    """Each list of lists as one list; lists inside that are null have no items."""
    lists = _array(value)
    inner = _array(lists.flatten())
    inner_lengths = pc.fill_null(pc.list_value_length(inner), 0).to_numpy(zero_copy_only=False)
    sizes = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    stops = np.concatenate([[0], np.cumsum(inner_lengths)])
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    lengths = pa.array(stops[bounds[1:]] - stops[bounds[:-1]])
    return _lists_of(lengths, inner.flatten(), lists.is_null(), pa.types.is_large_list(lists.type))


def map_part(value: Any, part: str) -> pa.Array:
    """The keys, or the items, of each map as a list."""
    maps = _array(value)
    if not pa.types.is_map(maps.type):
        raise pa.ArrowTypeError(f"a map is needed, but the values are {maps.type}")
    offsets = maps.offsets.to_numpy()
    lengths = pc.if_else(maps.is_null(), pa.scalar(None, pa.int32()), pa.array(np.diff(offsets)))
    values = getattr(maps, part)
    there = np.flatnonzero(maps.is_valid().to_numpy(zero_copy_only=False))
    first, kept = int(offsets[0]), np.zeros(len(values), dtype=bool)
    for row in there.tolist() if maps.null_count else ():
        kept[offsets[row] : offsets[row + 1]] = True
    chosen = values.filter(pa.array(kept)) if maps.null_count else values.slice(first, int(offsets[-1]) - first)
    return _lists_of(lengths, chosen, maps.is_null(), False)


def as_lists(value: Any) -> pa.Array:
    """Each tensor, or list of fixed length, as a list, in as many levels as it has dimensions."""
    kind = value.type
    if isinstance(kind, pa.BaseExtensionType):
        found = [None if row is None else row.tolist() for row in python_of(value)]
        return pa.array(found, type=None if found else _nested(kind))
    return _array(value)


def _nested(kind: Any) -> pa.DataType:
    found = kind.value_type
    for _ in getattr(kind, "shape", (1,)):
        found = pa.list_(found)
    return found


def hash_shares(value: Any) -> pa.Array:
    """A number from 0 to below 1 for each value; equal values have the same, in every process."""
    from ray_async.data.engine.keys import steady

    column = pa.chunked_array([value]) if isinstance(value, pa.Array) else value
    texts = (repr(steady(item)).encode() for item in python_of(column))
    found = [int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 11 for text in texts]
    return pa.array(np.array(found, dtype=np.float64) * 2.0**-53)
