"""Bundles of references, for libraries that go on with the blocks themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.blocks import reference_of
from ray_async.data.sources.datasource import BlockMetadata

__all__ = ("RefBundle",)


@dataclass(frozen=True)
class RefBundle:
    """References to blocks, each with what is known of it.

    Attributes:
        blocks: pairs of a reference and a `BlockMetadata`.
    """

    blocks: tuple[tuple[Any, BlockMetadata], ...]

    @property
    def block_refs(self) -> list[Any]:
        """The references."""
        return [reference for reference, _ in self.blocks]

    def num_rows(self) -> int:
        """Rows of all blocks."""
        return sum(metadata.num_rows or 0 for _, metadata in self.blocks)

    def size_bytes(self) -> int:
        """Bytes of all blocks."""
        return sum(metadata.size_bytes or 0 for _, metadata in self.blocks)

    @classmethod
    def of(cls, bundle: RowBundle) -> RefBundle:
        """The same blocks as the executor knows them."""
        pieces = bundle.pieces
        return cls(tuple((reference_of(piece.handle), BlockMetadata(piece.rows, piece.bytes)) for piece in pieces))
