"""Bundles: pieces of blocks that travel through a plan together. The executor never looks into a block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from ray_async.data.block.schema import unified

__all__ = ("Piece", "RowBundle", "different", "schema_of")


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``stop`` of one block.

    Attributes:
        handle: where the block is: a reference, or the table itself; opaque to the executor.
        start: first row.
        stop: row after the last one.
        bytes: size of these rows, estimated for a part of a block.
        schema: the block's schema; opaque to the executor, None where it is not known.
    """

    handle: Any
    start: int
    stop: int
    bytes: int
    schema: Any = None

    @property
    def rows(self) -> int:
        return self.stop - self.start

    def part(self, start: int, stop: int) -> Piece:
        """Rows ``start`` to ``stop`` of this piece, counted from its own first row."""
        share = self.bytes * (stop - start) // max(1, self.rows)
        return Piece(self.handle, self.start + start, self.start + stop, share, self.schema)


@dataclass(frozen=True)
class RowBundle:
    """Pieces that one task reads, in order."""

    pieces: tuple[Piece, ...]

    @cached_property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    @cached_property
    def bytes(self) -> int:
        return sum(piece.bytes for piece in self.pieces)

    @classmethod
    def of(cls, bundles: Iterable[RowBundle]) -> RowBundle:
        """One bundle of the pieces of several."""
        return cls(tuple(piece for bundle in bundles for piece in bundle.pieces))

    def part(self, start: int, stop: int) -> RowBundle:
        """Rows ``start`` to ``stop`` of this bundle."""
        pieces, first = [], 0
        for piece in self.pieces:
            low, high = max(start, first), min(stop, first + piece.rows)
            if low < high:
                pieces.append(piece.part(low - first, high - first))
            first += piece.rows
        if not pieces and self.pieces:
            pieces.append(self.pieces[0].part(0, 0))  # the schema is worth keeping
        return RowBundle(tuple(pieces))

    def cut(self, sizes: Sequence[int]) -> list[RowBundle]:
        """Consecutive bundles of so many rows each."""
        found, start = [], 0
        for size in sizes:
            found.append(self.part(start, start + size))
            start += size
        return found


def schema_of(bundles: Iterable[RowBundle]) -> pa.Schema | None:
    """The schema of all pieces of bundles; None if no piece has a column.

    Raises:
        TypeError: The blocks do not fit together.
    """
    seen: dict[int, pa.Schema] = {}
    for bundle in bundles:
        for piece in bundle.pieces:
            if piece.schema is not None and len(piece.schema):
                seen.setdefault(id(piece.schema), piece.schema)
    return unified(different(seen.values())) if seen else None


def different(schemas: Iterable[pa.Schema]) -> list[pa.Schema]:
    """Schemas, each once."""
    found: list[pa.Schema] = []
    for schema in schemas:
        if not any(schema.equals(other) for other in found):
            found.append(schema)
    return found
