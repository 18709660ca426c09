"""The inline shell: calls run one after the other in the calling thread, without a session."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.blocks import LocalBlock, table_of_piece
from ray_async.data.executor.instructions import Instruction, StartTask, StopTask
from ray_async.data.executor.machine import Machine
from ray_async.data.executor.worker import run_call
from ray_async.data.operators.map_operator import Operator

__all__ = ("run_inline",)


def run_inline(machine: Machine, operators: Sequence[Operator | None]) -> Iterator[RowBundle]:
    """Run a plan without user functions.

    Yields:
        The bundles of the result.
    """
    waiting: deque[StartTask] = deque()

    def carry(instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, StartTask):
                waiting.append(instruction)
            elif isinstance(instruction, StopTask):
                stopped = [start for start in waiting if start.task == instruction.task]
                for start in stopped:
                    waiting.remove(start)

    carry(machine.start())
    while True:
        bundle = machine.take()
        if bundle is not None:
            carry(machine.taken())
            yield bundle
            continue
        if not waiting:
            carry(machine.taken())
            if machine.error is not None:
                raise machine.error
            if machine.over or not waiting:
                return
        start = waiting.popleft()
        operator = operators[start.stage]
        assert operator is not None
        inputs: list[list[pa.Table]] = [
            [table_of_piece(piece) for piece in bundle.pieces] for bundle in start.call.inputs
        ]
        try:
            result = run_call(operator, start.call, inputs, LocalBlock)
        except Exception as error:  # a library's, of a file that may be damaged: the machine knows how many may fail
            carry(machine.failed(start.task, error))
            if machine.error is not None:
                raise
            continue
        carry(machine.finished(start.task, result))
