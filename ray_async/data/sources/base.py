"""The base of all sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.expressions.expr import Expr

__all__ = ("Parallelism", "RowSource")


@dataclass(frozen=True)
class Parallelism:
    """How finely a source should split itself.

    Attributes:
        cpus: CPUs of the session.
        block_bytes: size of a full block in memory.
        blocks: number of reads that the user asked for; None leaves it to the source.
        for_functions: whether user functions follow, for which even small data is worth splitting.
        execution: how many executions the dataset had before; a random order of files depends on it.
        apart: whether each file has a read of its own, so that one which fails takes no other along.
    """

    cpus: int = 2
    block_bytes: int = 128 << 20
    blocks: int | None = None
    for_functions: bool = True
    execution: int = 0
    apart: bool = False

    def count(self, rows: int, size: int) -> int:
        """The number of parts for data of that many rows and bytes in memory."""
        if self.blocks is not None:
            return max(1, self.blocks)
        # Functions may give many times what they get, and a call's outputs are all there before it ends.
        by_size = -(-size // (max(1, self.block_bytes // 4) if self.for_functions else self.block_bytes))
        by_use = min(rows, 2 * self.cpus) if self.for_functions else 1
        return max(1, by_size, by_use)


class RowSource(ABC):
    """Where rows come from: picklable, and the same rows in the same order each time."""

    #: For plans, errors and statistics.
    name: str = "Source"

    @abstractmethod
    def schema(self) -> pa.Schema | None:
        """Columns and types; None if they are not known before the rows are read."""

    @abstractmethod
    def count(self) -> int | None:
        """Number of rows; None if it is not known before they are read."""

    @abstractmethod
    def size(self) -> int | None:
        """Bytes in memory, roughly; None if nothing is known."""

    @abstractmethod
    def reads(self, parallelism: Parallelism) -> Sequence[Any]:
        """Picklable parameters of the calls that read everything, in order of the rows."""

    @abstractmethod
    def read(self, params: Any) -> Iterator[pa.Table]:
        """The tables of one read."""

    def select(self, columns: Sequence[str]) -> RowSource | None:
        """The same source with these columns alone, in this order; None if it reads all anyway."""
        return None

    def where(self, predicate: Expr) -> RowSource | None:
        """The same source with only the rows for which an expression is true; None if it cannot."""
        return None

    def first(self, rows: int) -> RowSource | None:
        """The same source, which may leave out rows beyond the first so many; None if it cannot."""
        return None

    def input_files(self) -> list[str]:
        """Paths of the files that it reads."""
        return []
