"""Ray's import path of chains of functions over blocks, which helpers of its tests build and annotate with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from ray_async.data.block.batches import batch_of, check_batch_format, resized, table_of_batch

__all__ = ("BatchMapTransformFn", "BlockMapTransformFn", "MapTransformCallable", "MapTransformer")

IN = TypeVar("IN")
OUT = TypeVar("OUT")
#: A function from blocks, rows or batches and the task's context to others.
MapTransformCallable: TypeAlias = Callable[[Iterable[IN], Any], Iterable[OUT]]


class BlockMapTransformFn:
    """A function from blocks to blocks as a link of a chain.

    Args:
        block_fn: called with the blocks and the context.
        is_udf: accepted.
        output_block_size_option: accepted.
        disable_block_shaping: accepted.
    """

    def __init__(
        self,
        block_fn: MapTransformCallable[Any, Any],
        *,
        is_udf: bool = False,
        output_block_size_option: Any = None,
        disable_block_shaping: bool = False,
    ) -> None:
        self._function = block_fn

    def __call__(self, blocks: Iterable[Any], context: Any) -> Iterator[Any]:
        return iter(self._function(blocks, context))


class BatchMapTransformFn:
    """A function from batches to batches as a link of a chain.

    Args:
        batch_fn: called with the batches and the context.
        batch_size: rows of a batch; None: whole blocks.
        batch_format: as for `Dataset.map_batches`.
        zero_copy_batch: whether arrays may be read-only views.
        is_udf: accepted.
        output_block_size_option: accepted.
    """

    def __init__(
        self,
        batch_fn: MapTransformCallable[Any, Any],
        *,
        batch_size: int | None = None,
        batch_format: str | None = None,
        zero_copy_batch: bool = True,
        is_udf: bool = False,
        output_block_size_option: Any = None,
    ) -> None:
        self._function = batch_fn
        self._rows = batch_size
        self._format = check_batch_format(batch_format)
        self._writable = not zero_copy_batch

    def __call__(self, blocks: Iterable[Any], context: Any) -> Iterator[Any]:
        tables = resized(map(table_of_batch, blocks), self._rows)
        batches = (batch_of(table, self._format, writable=self._writable) for table in tables)
        return map(table_of_batch, self._function(batches, context))


class MapTransformer:
    """A chain of functions over blocks.

    Args:
        transform_fns: the links, the first one first.
        init_fn: called by `init`.
        output_block_size_option_override: accepted.
    """

    def __init__(
        self,
        transform_fns: Sequence[BlockMapTransformFn | BatchMapTransformFn],
        *,
        init_fn: Callable[[], None] | None = None,
        output_block_size_option_override: Any = None,
    ) -> None:
        self._links = tuple(transform_fns)
        self._init = init_fn

    def init(self) -> None:
        """Do what has to be done once in a process."""
        if self._init is not None:
            self._init()

    def apply_transform(self, input_blocks: Iterable[Any], ctx: Any = None) -> Iterator[Any]:
        """The blocks that the chain makes."""
        blocks = iter(input_blocks)
        for link in self._links:
            blocks = link(blocks, ctx)
        return blocks
