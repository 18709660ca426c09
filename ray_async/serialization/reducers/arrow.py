"""Arrow's arrays, cut to what they use: a slice is stored without the rest of its table.

Tables, record batches and chunked arrays consist of arrays, so theirs is the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any

import pyarrow as pa

from ray_async.serialization.reducers.arrow_slices import Tree, cut

__all__ = ("reduce_arrow_array",)


def reduce_arrow_array(array: Any) -> Any:
    """The used parts of an array's buffers, out of band; NotImplemented for memory of a device."""
    if type(array).__reduce__ is not pa.Array.__reduce__:
        return NotImplemented
    restore, (tree,) = array.__reduce__()
    if not _is_on_cpu(tree):
        return NotImplemented
    return rebuild_arrow_array, (restore, _map_buffers(cut(tree, 0, tree[1]), PickleBuffer))


def rebuild_arrow_array(restore: Callable[[Tree], Any], tree: Tree) -> Any:
    """An array over memory of the object store."""
    return restore(_map_buffers(tree, pa.py_buffer))


def _map_buffers(tree: Tree, change: Callable[[Any], Any]) -> Tree:
    kind, length, nulls, offset, buffers, children, dictionary = tree
    buffers = [None if buffer is None else change(buffer) for buffer in buffers]
    children = [_map_buffers(child, change) for child in children]
    dictionary = None if dictionary is None else _map_buffers(dictionary, change)
    return kind, length, nulls, offset, buffers, children, dictionary


def _is_on_cpu(tree: Tree) -> bool:
    parts = [*tree[5], *([] if tree[6] is None else [tree[6]])]
    return all(buffer is None or buffer.is_cpu for buffer in tree[4]) and all(map(_is_on_cpu, parts))
