"""Driver of `concurrent.futures.ProcessPoolExecutor` and of loky, which share an interface: `peer_executor.py NAME`."""

from __future__ import annotations

import asyncio
import importlib
import os
import platform
import sys
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any

from bench.drivers import idioms, protocol

START = """
import sys, time
start = time.perf_counter()
__import__(sys.argv[1])
module = sys.modules[sys.argv[1]]
imported = time.perf_counter()
pool = module.ProcessPoolExecutor(2)
pool.submit(abs, -1).result()
first = time.perf_counter()
pool.shutdown()
done = time.perf_counter()
import json
print(json.dumps({"import": imported - start, "first": first - imported, "shutdown": done - first}))
"""


def small_value() -> bytes:
    """The no-op task."""
    return b"ok"


class Cases:
    """The cases over one pool, which starts when the first of them needs it."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.library = importlib.import_module(module)
        self.started: Executor | None = None

    @property
    def pool(self) -> Executor:
        if self.started is None:
            self.started = self.library.ProcessPoolExecutor(max(2, os.cpu_count() or 2))
        return self.started

    def task_sync(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        submit = self.pool.submit
        return protocol.repeat(lambda: submit(small_value).result(), params)

    def task_await(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        async def measure() -> dict[str, float]:
            return await protocol.repeat_async(lambda: asyncio.wrap_future(self.pool.submit(small_value)), params)

        return asyncio.run(measure())

    def tasks_pipelined(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        batch, submit = int(params["batch"]), self.pool.submit
        return protocol.repeat(
            lambda: [future.result() for future in [submit(small_value) for _ in range(batch)]], params, per=batch
        )

    def call(self) -> Callable[[], asyncio.Future[bytes]]:
        submit = self.pool.submit
        return lambda: asyncio.wrap_future(submit(small_value))

    def coroutine(self) -> Callable[[], Coroutine[Any, Any, bytes]]:
        call = self.call()

        async def awaited() -> bytes:
            return await call()

        return awaited

    def idioms(self) -> dict[str, protocol.Case]:
        return {
            "gather_tasks": idioms.case(idioms.gathered, self.call),
            "group_tasks": idioms.case(idioms.in_a_group, self.coroutine),
            "limited_tasks": idioms.case(idioms.limited, self.call),
            "each_task": idioms.case(idioms.in_turn, self.call),
            "first_tasks": idioms.case(idioms.first_of_all, self.call),
        }

    def start(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        return protocol.script_metrics(START, self.module)

    def close(self) -> None:
        if self.started is not None:
            self.started.shutdown()


def main(module: str) -> None:
    cases = Cases(module)
    version = getattr(cases.library, "__version__", platform.python_version())
    served = {"task_sync": cases.task_sync, "task_await": cases.task_await, **cases.idioms()}
    protocol.serve({**served, "tasks_pipelined": cases.tasks_pipelined, "start": cases.start}, version, cases.close)


if __name__ == "__main__":
    main(sys.argv[1])
