"""Blocks: Arrow tables that hold a dataset's rows.

`columns` makes Arrow columns of Python and NumPy values and back, `tensors` the two types that Arrow lacks, `rows`
and `batches` the forms in which functions see a block, `schema` one schema for blocks that differ, and `bundle` the
names by which the executor passes blocks around without touching them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

    from ray_async.data.block.accessor import BlockAccessor
    from ray_async.data.sources.datasource import BlockMetadata

__all__ = ("Block", "BlockAccessor", "BlockMetadata")

#: What a block is, for annotations: an Arrow table.
Block: TypeAlias = "pa.Table"

_HOMES = {"BlockAccessor": "ray_async.data.block.accessor", "BlockMetadata": "ray_async.data.sources.datasource"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
