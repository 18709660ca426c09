"""Datasources of users: classes that say how to read something that Data does not know."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from ray_async.data.block.batches import table_of_batch
from ray_async.data.sources.base import Parallelism, RowSource

__all__ = ("BlockMetadata", "Datasource", "DatasourceSource", "ReadTask")


@dataclass(frozen=True)
class BlockMetadata:
    """What is known of the rows of a read before it runs.

    Attributes:
        num_rows: rows; None if nobody knows.
        size_bytes: bytes in memory; None if nobody knows.
        input_files: paths that are read.
        exec_stats: accepted.
    """

    num_rows: int | None = None
    size_bytes: int | None = None
    input_files: Sequence[str] | None = None
    exec_stats: Any = None


@dataclass(frozen=True)
class ReadTask:
    """One read: a function without arguments that gives blocks, run on a worker.

    Attributes:
        read_fn: gives Arrow tables, DataFrames, or dicts of columns.
        metadata: what is known before.
        schema: the Arrow schema, if it is known.
        per_task_row_limit: rows at most.
    """

    read_fn: Callable[[], Iterable[Any]]
    metadata: BlockMetadata = field(default_factory=BlockMetadata)
    schema: pa.Schema | None = None
    per_task_row_limit: int | None = None

    def __call__(self) -> Iterator[Any]:
        """The blocks of this read, in the form that the function gives them.

        Raises:
            RuntimeError: The function has raised StopIteration, which would end the read without its remaining rows.
        """
        left = self.per_task_row_limit
        blocks = iter(self._blocks())
        while left is None or left > 0:
            try:
                block = next(blocks)
            except StopIteration:
                return
            if left is not None:
                block = _first_rows(block, left)
                left -= table_of_batch(block).num_rows
            yield block

    def _blocks(self) -> Iterable[Any]:
        try:
            return self.read_fn()
        except (StopIteration, StopAsyncIteration, GeneratorExit) as error:
            raise RuntimeError(f"a read function raised {type(error).__name__}") from error


def _first_rows(block: Any, rows: int) -> Any:
    if hasattr(block, "iloc"):
        return block.iloc[:rows]
    return table_of_batch(block).slice(0, rows)


class Datasource(ABC):  # noqa: B024 - users' classes override what they have
    """The base class of sources of users' own.

    Example:
        >>> class Squares(Datasource):
        ...     def get_read_tasks(self, parallelism, per_task_row_limit=None):
        ...         return [ReadTask(lambda: [{"x": [0, 1, 4]}], BlockMetadata(num_rows=3))]
        >>> ray.data.read_datasource(Squares()).count()
        3
    """

    def get_name(self) -> str:
        """The name, for plans and errors."""
        return type(self).__name__.removesuffix("Datasource")

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes in memory; None if nobody knows."""
        return None

    def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None) -> list[ReadTask]:
        """The reads, of about that number, in the order of the rows."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_read_tasks(parallelism)")

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether reads may run on workers."""
        return True


@dataclass(frozen=True)
class DatasourceSource(RowSource):
    """A datasource of the user's as a source.

    Attributes:
        datasource: the user's.
        arguments: what it is asked for its reads with, beside their number.
    """

    datasource: Datasource
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.datasource.get_name())

    @cached_property
    def _first_tasks(self) -> list[ReadTask]:
        return self._tasks(1)

    def _tasks(self, count: int) -> list[ReadTask]:
        """The reads; older datasources have `prepare_read` for it."""
        older = getattr(self.datasource, "prepare_read", None)
        return list((older or self.datasource.get_read_tasks)(count, **self.arguments))

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name}  # a call of a worker brings its read task along, and needs nothing else

    def schema(self) -> pa.Schema | None:
        known = [task.schema for task in self._first_tasks if task.schema is not None]
        return known[0] if known else None

    def count(self) -> int | None:
        counts = [task.metadata.num_rows for task in self._first_tasks]
        return None if not counts or any(count is None for count in counts) else sum(c for c in counts if c is not None)

    def size(self) -> int | None:
        return None  # its functions are the user's: they run on workers

    def reads(self, parallelism: Parallelism) -> Sequence[ReadTask]:
        rows, size = self.count() or 1 << 30, self.datasource.estimate_inmemory_data_size() or 0
        return self._tasks(parallelism.count(rows, size))

    def read(self, params: ReadTask) -> Iterator[pa.Table]:
        return map(table_of_batch, params())

    def input_files(self) -> list[str]:
        return [path for task in self._first_tasks for path in task.metadata.input_files or ()]
