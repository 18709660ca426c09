"""The map operator: a source or the tables of a bundle, through a chain of steps, into blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from ray_async.data.block.schema import concatenated
from ray_async.data.operators.columns import FilterStep, ReshapeStep
from ray_async.data.operators.function import UserFunction
from ray_async.data.operators.steps import ChainStep, NumberedStep

__all__ = ("CallOperator", "InFile", "MapOperator", "Operator", "Value", "blocks_of_size")


@dataclass(frozen=True)
class Value:
    """A small value beside the blocks that a call gives."""

    value: Any


@dataclass(frozen=True)
class InFile:
    """A block that is written into a folder, since the store has no room for all of its kind.

    Attributes:
        tables: its rows, made as they are written.
        folder: the folder.
    """

    tables: Iterable[pa.Table]
    folder: str


class Operator(Protocol):
    """Work that is done on workers."""

    def prepare(self) -> None:
        """Make what lasts for many calls."""
        ...

    def run(
        self, params: Any, inputs: Sequence[Sequence[pa.Table]], number: int
    ) -> Iterator[pa.Table | InFile | Value]:
        """Do one call.

        Args:
            params: the call's.
            inputs: the tables of each bundle of the call.
            number: which of the stage's calls it is.

        Yields:
            Blocks in order, and at most one value.
        """
        ...


class Reader(Protocol):
    """What a source's calls need: the tables of one read."""

    def read(self, params: Any) -> Iterator[pa.Table]: ...


@dataclass
class MapOperator:
    """A chain of steps over what a source reads or a bundle holds.

    Attributes:
        steps: the chain.
        reader: the source; None where the rows come from bundles.
        block_bytes: size at which a block is full.
    """

    steps: tuple[ChainStep, ...] = ()
    reader: Reader | None = None
    block_bytes: int = 128 << 20
    functions: tuple[UserFunction, ...] = field(default=())

    def prepare(self) -> None:
        for function in self.functions:
            function.prepare()

    def run(self, params: Any, inputs: Sequence[Sequence[pa.Table]], number: int) -> Iterator[pa.Table | Value]:
        first_row = 0
        if self.reader is not None:
            tables: Iterable[pa.Table] = self.reader.read(params)
        else:
            tables = [table for bundle in inputs for table in bundle]
            first_row = params or 0
        for step in self.steps:
            if isinstance(step, NumberedStep):
                tables = step.run_numbered(tables, number)
            elif isinstance(step, (FilterStep, ReshapeStep)) and step.counts_rows:
                tables = step.run_from(tables, first_row)
            else:
                tables = step.run(tables)
        return blocks_of_size(tables, self.block_bytes)


def blocks_of_size(tables: Iterable[pa.Table], block_bytes: int) -> Iterator[pa.Table]:
    """Tables put together into blocks of at most about so many bytes, and cut where one is larger."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        for part in _parts(table, block_bytes):
            part_size = part.nbytes
            if held and size and size + part_size > block_bytes:
                yield concatenated(held)
                held, size = [], 0
            held.append(part)
            size += part_size
    if held:
        yield concatenated(held)


def _parts(table: pa.Table, block_bytes: int) -> Iterator[pa.Table]:
    size = table.nbytes
    if size <= block_bytes * 1.5 or table.num_rows < 2:
        yield table
        return
    rows = max(1, table.num_rows * block_bytes // size)
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


@dataclass(frozen=True)
class CallOperator:
    """The operator of barriers: their calls bring what is to be done as parameters."""

    def prepare(self) -> None:
        return None

    def run(
        self, params: Any, inputs: Sequence[Sequence[pa.Table]], number: int
    ) -> Iterator[pa.Table | InFile | Value]:
        return params(inputs)  # type: ignore[no-any-return]
