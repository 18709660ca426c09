"""Datasinks of users: classes that say how to write to something that Data does not know."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
import pyarrow as pa

from ray_async.data.sinks.base import Receipt, RowSink

__all__ = ("Datasink", "DatasinkSink", "TaskContext", "WriteResult")


@dataclass(frozen=True)
class TaskContext:
    """Which call of the write it is.

    Attributes:
        task_idx: its number, in the order of the rows; the same when it is run again.
        op_name: the stage's name.
        kwargs: accepted.
    """

    task_idx: int
    op_name: str = ""
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WriteResult:
    """What a write has written.

    Attributes:
        num_rows: rows.
        size_bytes: bytes in memory.
        write_returns: what each call of `Datasink.write` returned, in the order of the rows.
    """

    num_rows: int
    size_bytes: int
    write_returns: list[Any]


class Datasink(ABC):  # noqa: B024 - users' classes override what they have
    """The base class of sinks of users' own.

    `on_write_start`, `on_write_complete` and `on_write_failed` run in the driver, `write` on workers; a call of it may
    be run again, with the same ``ctx.task_idx``.
    """

    def get_name(self) -> str:
        """The name, for plans and errors."""
        return type(self).__name__.removesuffix("Datasink")

    def on_write_start(self, schema: pa.Schema | None = None) -> None:
        """Make ready."""
        return None

    def write(self, blocks: Iterable[pa.Table], ctx: TaskContext) -> Any:
        """Write the tables of one call."""
        raise NotImplementedError(f"{type(self).__name__} needs a method write(blocks, ctx)")

    def on_write_complete(self, write_result: WriteResult) -> None:
        """All has been written."""
        return None

    def on_write_failed(self, error: BaseException) -> None:
        """Something has failed; what was written may be removed."""
        return None

    @property
    def min_rows_per_write(self) -> int | None:
        """Rows that a call of `write` gets at least, where there are that many."""
        return None

    @property
    def supports_distributed_writes(self) -> bool:
        """Whether `write` may run on workers."""
        return True


@dataclass
class DatasinkSink(RowSink):
    """A datasink of the user's as a sink."""

    datasink: Datasink

    def __post_init__(self) -> None:
        self.name = f"Write{self.datasink.get_name()}"

    def prepare(self) -> bool:
        self.datasink.on_write_start()
        return True

    def write(self, tables: Iterable[pa.Table], number: int) -> Iterator[Receipt]:
        seen = {"rows": 0, "bytes": 0}

        def counted() -> Iterator[pa.Table]:
            for table in tables:
                seen["rows"] += table.num_rows
                seen["bytes"] += table.nbytes
                yield table

        returned = self.datasink.write(counted(), TaskContext(number, self.name))
        yield {**seen, "returned": cloudpickle.dumps(returned)}

    def commit(self, receipts: Sequence[Receipt], schema: pa.Schema | None) -> None:
        returned = [cloudpickle.loads(receipt["returned"]) for receipt in receipts]
        rows, size = (sum(receipt[name] for receipt in receipts) for name in ("rows", "bytes"))
        self.datasink.on_write_complete(WriteResult(rows, size, returned))

    def abort(self, error: BaseException) -> None:
        self.datasink.on_write_failed(error)
