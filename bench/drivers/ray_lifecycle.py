"""Starting and ending, actors' creation, memory at rest, and a deep queue."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.drivers import processes, protocol
from bench.drivers.ray_remote import remote

__all__ = ("cases",)

# Imports json last: it brings modules along that the library, or asyncio beside it, would otherwise pay for.
START = """
import sys, time
start = time.perf_counter()
ray = __import__(sys.argv[1])
imported = time.perf_counter()
ray.init(address="local", num_cpus=int(sys.argv[2]), include_dashboard=False, logging_level="ERROR")
def first_task():
    return 1
ray.get(ray.remote(first_task).remote())
first = time.perf_counter()
ray.shutdown()
done = time.perf_counter()
import json
print(json.dumps({"import": imported - start, "first": first - imported, "shutdown": done - first}))
"""
DEADLINE = 120.0
_END_S = 3.0


class Lifecycle:
    """The cases over one session."""

    def __init__(self, session: Any) -> None:
        self.session = session

    @property
    def ray(self) -> Any:
        return self.session.ray

    def start(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        return protocol.script_metrics(START, self.session.module, str(self.session.cpus))

    def actors(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Creates actors at once and waits for a reply of each, after an untimed one; the cost is of one actor."""
        ray, count = self.ray, int(params["count"])

        class Actor:
            def small_value(self) -> bytes:
                return b"ok"

        remote_actor = remote(ray, num_cpus=0)(Actor)
        made = [remote_actor.remote()]  # a session that has just begun may still be starting
        ray.get(made[0].small_value.remote())
        start = time.perf_counter()
        made += [remote_actor.remote() for _ in range(count)]
        ray.get([actor.small_value.remote() for actor in made[1:]])
        elapsed = time.perf_counter() - start
        for actor in made:
            ray.kill(actor)
        return {"wall": elapsed / count}

    def memory(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Needs a new driver process: its growth since its first line counts."""
        ray = self.ray

        @remote(ray)
        def worker() -> int:
            time.sleep(0.3)
            return os.getpid()

        workers = set(ray.get([worker.remote() for _ in range(self.session.cpus)]))
        everyone = processes.processes_of(os.environ[processes.MARK])
        private = {pid: processes.private_bytes(pid) for pid in everyone}
        growth = private[os.getpid()] - self.session.private_at_start
        system = sum(size for pid, size in private.items() if pid not in workers and pid != os.getpid())
        return {
            "system": growth + system,
            "worker": sum(private.get(pid, 0) for pid in workers) / len(workers),
            "threads": max(processes.thread_count(pid) for pid in everyone),
            "processes": len(everyone) - len(workers),
        }

    def queued(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """A tenth of the tasks first, then all: what each costs, and how much more at the greater depth."""
        count = int(params["count"])
        shallow = self._queue_and_drain(max(1, count // 10))
        deep = self._queue_and_drain(count)
        return {"wall": deep, "slowdown": deep / shallow}

    def option_sets(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Calls with other options each, ten at a time; then, when they had time to end, what the store has less."""
        ray, count = self.ray, int(params["count"])

        @remote(ray)
        def no_op() -> None:
            return None

        def run(first: int, last: int) -> None:
            for start in range(first, last, 10):
                ray.get([no_op.options(memory=1000 + start + i).remote() for i in range(10)])

        run(0, 100)
        time.sleep(_END_S)
        free, look = self._free_bytes(), self._look_s()
        start = time.perf_counter()
        run(100, 100 + count)
        elapsed = time.perf_counter() - start
        time.sleep(_END_S)
        lost = max(0.0, free - self._free_bytes())
        return {"wall": elapsed / count, "store": lost / count, "look": self._look_s() / look}

    def _free_bytes(self) -> float:
        return float(self.ray.available_resources().get("object_store_memory", 0))

    def _look_s(self) -> float:
        """Time of a look at all resources, the best of many."""
        times = []
        for _ in range(50):
            start = time.perf_counter()
            self.ray.available_resources()
            times.append(time.perf_counter() - start)
        return min(times)

    def _queue_and_drain(self, count: int) -> float:
        """Queues tasks behind a closed gate, opens it, and gets all results; seconds for each task."""
        ray = self.ray

        @remote(ray)
        def no_op() -> None:
            return None

        with tempfile.TemporaryDirectory() as folder:
            gates = _closed_gates(ray, Path(folder), self.session.cpus)
            start = time.perf_counter()
            refs = [no_op.remote() for _ in range(count)]
            (Path(folder) / "open").touch()
            ray.get(refs)
            elapsed = time.perf_counter() - start
            ray.get(gates)
        return elapsed / count


def _closed_gates(ray: Any, folder: Path, count: int) -> list[Any]:
    """Tasks that hold all CPUs until a file named `open` appears; returns once all of them run."""

    @remote(ray)
    def gate(path: str, index: int) -> None:
        Path(path, f"closed-{index}").touch()
        while not Path(path, "open").exists():
            time.sleep(0.005)

    gates = [gate.remote(str(folder), index) for index in range(count)]
    end = time.monotonic() + DEADLINE
    while sum(1 for _ in folder.glob("closed-*")) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{count} tasks of one CPU each did not start within {DEADLINE:g} s")
        time.sleep(0.01)
    return gates


def cases(session: Any) -> dict[str, protocol.Case]:
    """The cases by name."""
    lifecycle = Lifecycle(session)
    return {
        "start": lifecycle.start,
        "actors": lifecycle.actors,
        "memory": lifecycle.memory,
        "queued": lifecycle.queued,
        "option_sets": lifecycle.option_sets,
    }
