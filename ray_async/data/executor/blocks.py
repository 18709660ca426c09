"""Blocks as the driver holds them: tables of its own, which go to the store when a worker needs them, or references."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

import ray_async as ray
from ray_async.data.block.bundle import Piece, RowBundle

__all__ = ("LocalBlock", "bundle_of_table", "reference_of", "table_of_piece", "tables_of_bundles")


class LocalBlock:
    """A table in this process.

    Args:
        table: the table.
    """

    __slots__ = ("_reference", "table")

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._reference: Any = None

    def reference(self) -> Any:
        """The table in the store of the session; it is put there once."""
        session = ray.get_runtime_context().get_job_id() if ray.is_initialized() else None
        if self._reference is None or self._reference[0] != session:
            self._reference = (session, ray.put(self.table))
        return self._reference[1]

    def __reduce__(self) -> Any:
        return (LocalBlock, (self.table,))


def reference_of(handle: Any) -> Any:
    """A reference to a block, for a call of a worker's."""
    return handle.reference() if isinstance(handle, LocalBlock) else handle


def table_of_piece(piece: Piece) -> pa.Table:
    """The rows of a piece; waits for the store where the block lies there."""
    table = piece.handle.table if isinstance(piece.handle, LocalBlock) else ray.get(piece.handle)
    if piece.start == 0 and piece.stop == table.num_rows:
        return table
    return table.slice(piece.start, piece.rows)


def bundle_of_table(table: pa.Table) -> RowBundle:
    """A bundle of one table of this process."""
    return RowBundle((Piece(LocalBlock(table), 0, table.num_rows, table.nbytes, table.schema),))


def tables_of_bundles(bundles: Iterable[RowBundle]) -> list[pa.Table]:
    """The tables of all pieces, in order."""
    return [table_of_piece(piece) for bundle in bundles for piece in bundle.pieces]
