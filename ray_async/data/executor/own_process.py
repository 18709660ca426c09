"""The own process: calls of stages that run where the dataset is consumed, on the CPUs that an actor holds anyway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle

import ray_async as ray
from ray_async.data.executor.blocks import LocalBlock
from ray_async.data.executor.instructions import StageCall, StageResult
from ray_async.data.executor.worker import Runner, layout_of
from ray_async.data.operators.map_operator import Operator
from ray_async.exceptions import RayTaskError

__all__ = ("OwnProcess", "cpus_of_actor")

#: Options of tasks that ask for nothing that another process would have to have.
_PLAIN = {"max_calls", "max_retries", "memory", "name", "num_cpus", "retry_exceptions"}


def cpus_of_actor() -> float:
    """CPUs that the calling method's actor holds; 0 in tasks, which lend theirs while they wait, and in drivers."""
    context = ray.get_runtime_context()
    return 0.0 if context.get_actor_id() is None else context.get_assigned_resources().get("CPU", 0.0)


class OwnProcess:
    """Runs calls one after the other in a thread.

    Each stage has its own copy of its operator, as it would have in a worker. A call that has begun runs to its end.
    """

    def __init__(self) -> None:
        self._runners: dict[int, Runner] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="ray_async data call")

    @staticmethod
    def takes(options: Mapping[str, Any]) -> bool:
        """Whether calls with such options may run here."""
        return set(options) <= _PLAIN

    def run(self, stage: int, name: str, operator: Operator, call: StageCall) -> asyncio.Future[StageResult]:
        """Run a call.

        Args:
            stage: the stage's index.
            name: its name, for errors.
            operator: its operator, which stays as it is.
            call: what to do.
        """
        if stage not in self._runners:
            self._runners[stage] = Runner(cloudpickle.loads(cloudpickle.dumps(operator)))
        return asyncio.get_running_loop().run_in_executor(self._threads, self._run, self._runners[stage], name, call)

    def close(self) -> None:
        """Begin no further call."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, runner: Runner, name: str, call: StageCall) -> StageResult:
        layout, handles = layout_of(call)
        try:
            return runner.run(call.params, call.number, layout, *_blocks_of(handles))
        except Exception as error:
            pid = os.getpid()
            failure = RayTaskError.from_exception(error, function_name=name, proctitle=f"ray::{name}", pid=pid, ip="")
            raise failure.as_awaitable_cause() from error


def _blocks_of(handles: Sequence[Any]) -> list[Any]:
    """Blocks as a worker gets them: the tables of this process, those of the store, and files."""
    found = iter(ray.get([handle for handle in handles if isinstance(handle, ray.ObjectRef)]))
    blocks = [next(found) if isinstance(handle, ray.ObjectRef) else handle for handle in handles]
    return [block.table if isinstance(block, LocalBlock) else block for block in blocks]
