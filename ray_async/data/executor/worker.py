"""Worker side: one call of an operator on the blocks that its bundles name."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from ray_async.data.block.bundle import Piece, RowBundle
from ray_async.data.block.run_file import RunFile
from ray_async.data.executor.instructions import StageCall, StageResult
from ray_async.data.executor.kept_memory import KeptMemory
from ray_async.data.operators.map_operator import InFile, Operator, Value

__all__ = ("Layout", "layout_of", "run_call", "tables_of")

#: For each bundle of a call, for each of its pieces: which of the call's blocks, from which row, to which.
Layout: TypeAlias = tuple[tuple[tuple[int, int, int], ...], ...]


def layout_of(call: StageCall) -> tuple[Layout, list[Any]]:
    """A call's inputs as numbers, and the handles of its blocks, each once."""
    handles: dict[Any, int] = {}
    layout = tuple(
        tuple((handles.setdefault(piece.handle, len(handles)), piece.start, piece.stop) for piece in bundle.pieces)
        for bundle in call.inputs
    )
    return layout, list(handles)


def tables_of(layout: Layout, blocks: Sequence[pa.Table | RunFile]) -> list[list[pa.Table]]:
    """The tables of each bundle."""
    return [[_rows_of(blocks[index], start, stop) for index, start, stop in bundle] for bundle in layout]


def _rows_of(block: pa.Table | RunFile, start: int, stop: int) -> pa.Table:
    if isinstance(block, RunFile):
        return block.rows(start, stop)
    return block if start == 0 and stop == block.num_rows else block.slice(start, stop - start)


def run_call(
    operator: Operator, call: StageCall, inputs: Sequence[Sequence[pa.Table]], keep: Callable[[pa.Table], Any]
) -> StageResult:
    """Run a call and keep its blocks.

    Args:
        operator: the stage's.
        call: the call; its inputs' handles are not looked at.
        inputs: the tables of each of its bundles.
        keep: stores a block and returns its handle.
    """
    began, clock = time.perf_counter(), time.time()
    outputs: list[RowBundle] = []
    value: Any = None
    operator.prepare()
    for item in operator.run(call.params, inputs, call.number):
        if isinstance(item, Value):
            value = item.value
            continue
        if isinstance(item, InFile):
            piece = RunFile.written(item.tables, item.folder)
        else:
            piece = Piece(keep(item), 0, item.num_rows, item.nbytes, item.schema)
        outputs.append(RowBundle((piece,)))
        del item  # its rows are where they belong, and the next ones need the memory
    seconds = time.perf_counter() - began
    return StageResult(tuple(outputs), value, seconds, began=clock, process=os.getpid())


@dataclass
class Runner:
    """An operator in a worker: the body of a stage's tasks, and of the actors of its pool.

    Attributes:
        operator: the operator.
        kept_bytes: free memory that the worker may keep between calls; None for any.
    """

    operator: Operator
    kept_bytes: int | None = None
    _memory: KeptMemory | None = field(default=None, init=False)

    def run(self, params: Any, number: int, layout: Layout, *blocks: pa.Table | RunFile) -> StageResult:
        """Run a call whose inputs are given as `layout_of` returns them."""
        import ray_async as ray

        with self._tidied():
            return run_call(self.operator, StageCall(params, (), number), tables_of(layout, blocks), ray.put)

    @contextlib.contextmanager
    def _tidied(self) -> Iterator[None]:
        # A signal that stops a call may come when the next one runs. Python's handler knows that, and Arrow's does not.
        pa.enable_signal_handlers(False)
        if self._memory is None and self.kept_bytes is not None:
            self._memory = KeptMemory(self.kept_bytes)
        yield
        if self._memory is not None:
            self._memory.look()

    def stream(self, params: Any, number: int, layout: Layout, *blocks: pa.Table | RunFile) -> Iterator[StageResult]:
        """Run a call, and give each block as it is made."""
        with self._tidied():
            yield from self._streamed(params, number, layout, blocks)

    def _streamed(
        self, params: Any, number: int, layout: Layout, blocks: Sequence[pa.Table | RunFile]
    ) -> Iterator[StageResult]:
        import ray_async as ray

        self.operator.prepare()
        items = iter(self.operator.run(params, tables_of(layout, blocks), number))
        while True:
            began = time.perf_counter()
            item = next(items, None)
            seconds = time.perf_counter() - began
            if item is None:
                return
            assert not isinstance(item, (Value, InFile))  # barriers' calls alone have them, and these do not stream
            piece = Piece(ray.put(item), 0, item.num_rows, item.nbytes, item.schema)
            yield StageResult((RowBundle((piece,)),), None, seconds)
