"""Driver of Dask: a local cluster of `distributed`, one thread a worker, as its documents advise for Python code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import distributed

from bench.drivers import protocol

START = """
import time
if __name__ == "__main__":
    start = time.perf_counter()
    import distributed
    imported = time.perf_counter()
    client = distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client.submit(abs, -1).result()
    first = time.perf_counter()
    client.shutdown()
    done = time.perf_counter()
    import json
    print(json.dumps({"import": imported - start, "first": first - imported, "shutdown": done - first}))
"""
SETTINGS = {"threads_per_worker": 1, "dashboard_address": None}


def small_value() -> bytes:
    """The no-op task."""
    return b"ok"


class Actor:
    """The no-op actor."""

    def small_value(self) -> bytes:
        return b"ok"


class Cases:
    """The cases over one cluster, which starts when the first of them needs it."""

    @cached_property
    def client(self) -> Any:
        return distributed.Client(n_workers=max(2, os.cpu_count() or 2), **SETTINGS)

    @cached_property
    def actor(self) -> Any:
        return self.client.submit(Actor, actor=True).result()

    def task_sync(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        submit = self.client.submit
        return protocol.repeat(lambda: submit(small_value, pure=False).result(), params)

    def task_await(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        address = self.client.scheduler.address

        async def measure() -> dict[str, float]:
            async with distributed.Client(address, asynchronous=True) as client:
                return await protocol.repeat_async(lambda: client.submit(small_value, pure=False), params)

        return asyncio.run(measure())

    def tasks_pipelined(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        batch, client = int(params["batch"]), self.client
        return protocol.repeat(
            lambda: client.gather([client.submit(small_value, pure=False) for _ in range(batch)]), params, per=batch
        )

    def actor_sync(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        actor = self.actor
        return protocol.repeat(lambda: actor.small_value().result(), params)

    def actor_pipelined(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        batch, actor = int(params["batch"]), self.actor
        return protocol.repeat(
            lambda: [future.result() for future in [actor.small_value() for _ in range(batch)]], params, per=batch
        )

    def start(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        return protocol.script_metrics(START)

    def close(self) -> None:
        if "client" in self.__dict__:
            self.client.shutdown()


def main() -> None:
    cases = Cases()
    served = {
        "task_sync": cases.task_sync,
        "task_await": cases.task_await,
        "tasks_pipelined": cases.tasks_pipelined,
        "actor_sync": cases.actor_sync,
        "actor_pipelined": cases.actor_pipelined,
        "start": cases.start,
    }
    protocol.serve(served, distributed.__version__, cases.close)


if __name__ == "__main__":
    main()
