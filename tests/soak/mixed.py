"""A mixed load while random workers are killed and stopped: each result right, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ray_async as ray
from ray_async.engine.current import get_session
from tests.resources import Resources, becomes_true, leaks
from tests.soak.figures import Figures, statistics

__all__ = ("run_mixed",)

_STORE = 100 << 20
_EVERY_S = 0.04
_STOPPED_S = 0.02
_LOOKS = 40
_TIMEOUT_S = 120
_SLACK = 1 << 20  # bytes of the store that may be in use at the end and were not at the start


@ray.remote(max_retries=-1)
def square(x: int) -> int:
    return x * x


@ray.remote(max_retries=-1)
def filled(i: int, n: int) -> Any:
    return np.full(n, i, dtype=np.int64)


@ray.remote(max_retries=-1)
def total(array: Any) -> int:
    return int(array.sum())


@ray.remote(max_retries=-1)
def fan(n: int) -> int:
    return sum(ray.get([square.remote(i) for i in range(n)]))


@ray.remote(max_retries=-1)
async def waits(x: int) -> int:
    await asyncio.sleep(0.001)
    return x + 1


@ray.remote(max_retries=-1, num_returns="streaming")
def stream(n: int) -> Any:
    yield from range(n)


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Adder:
    def add(self, a: int, b: int) -> int:
        return a + b


class Killer(threading.Thread):
    """Kills or stops a random worker again and again."""

    def __init__(self, seed: int) -> None:
        super().__init__(name="killer")
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._stopped: list[tuple[float, int]] = []
        self.kills = self.stops = 0

    def run(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._go_on(time.monotonic() - _STOPPED_S)
            pids = [worker["pid"] for worker in statistics()["workers"] if worker["pid"]]
            if not pids:
                continue
            pid = self._random.choice(pids)
            with contextlib.suppress(ProcessLookupError):
                if self._random.random() < 0.5:
                    os.kill(pid, signal.SIGKILL)
                    self.kills += 1
                else:
                    os.kill(pid, signal.SIGSTOP)
                    self._stopped.append((time.monotonic(), pid))
                    self.stops += 1
        self._go_on(time.monotonic())

    def _go_on(self, since: float) -> None:
        for moment, pid in [*self._stopped]:
            if moment <= since:
                self._stopped.remove((moment, pid))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """Stop, with all processes going on."""
        self._over.set()
        self.join()


def one_round(rng: random.Random, adder: Any) -> str:
    """Start some of everything and compare what comes back; returns what is wrong, or nothing."""
    n, size = rng.randrange(1, 20), rng.choice((10, 2000, 40_000))
    shared = ray.put(np.arange(1000))
    jobs: list[tuple[str, Any, Any]] = [
        ("tasks", [square.remote(i) for i in range(n)], [i * i for i in range(n)]),
        ("arrays", [total.remote(filled.remote(i, size)) for i in range(3)], [i * size for i in range(3)]),
        ("shared", [total.remote(shared)], [499_500]),
        ("nested", [fan.remote(n)], [sum(i * i for i in range(n))]),
        ("async", [waits.remote(i) for i in range(n)], [i + 1 for i in range(n)]),
        ("actor", [adder.add.remote(i, n) for i in range(n)], [i + n for i in range(n)]),
        ("options", [square.options(memory=rng.randrange(1000, 9000)).remote(n)], [n * n]),
        ("stream", [ray.get(ref) for ref in stream.remote(n)], list(range(n))),
    ]
    for name, refs, wanted in jobs:
        values = refs if name == "stream" else ray.get(refs, timeout=_TIMEOUT_S)
        if values != wanted:
            return f"{name}: {values} instead of {wanted}"
    return ""


def run_mixed(seconds: float, seed: int, say: Callable[[str], Any] = print) -> list[str]:
    """Run rounds for so long, and return what is wrong.

    Args:
        seconds: how long.
        seed: of everything random.
        say: called with a line now and then.
    """
    resources, rounds = Resources.now(), 0
    wrong: list[str] = []
    with ray.init(num_cpus=3, object_store_memory=_STORE, log_to_driver=False):
        rng, adder = random.Random(seed), Adder.remote()
        for _ in range(5):
            one_round(rng, adder)
        before, killer = rest(adder), Killer(seed)
        adder = Adder.remote()
        say(f"at the start: {before}")
        killer.start()
        try:
            until, told = time.monotonic() + seconds, time.monotonic()
            while time.monotonic() < until and not wrong:
                found = one_round(rng, adder)
                wrong += [found] if found else []
                rounds += 1
                if time.monotonic() - told > 30:
                    told = time.monotonic()
                    say(f"{rounds} rounds, {killer.kills} kills, {killer.stops} stops: {Figures.now()}")
        finally:
            killer.end()
        after = rest(adder)
        say(f"{rounds} rounds, {killer.kills} kills, {killer.stops} stops; at the end: {after}")
        if after.used > before.used + _SLACK:
            wrong.append(f"the store has {after.used} bytes in use, and had {before.used} at the start")
        directory = Path(get_session().address_info()["session_dir"])
    wrong += leaks(resources)
    return wrong + ([f"{directory} is left"] if directory.exists() else [])


def rest(adder: Any) -> Figures:
    """Figures when nothing runs, the actor neither, and what ended is gone."""
    ray.kill(adder)
    del adder
    seen: list[int] = []

    def is_steady() -> bool:
        """Whether many looks in a row have found no less in use than those before."""
        get_session().arena.trim()
        found = statistics()
        seen.append(found["used"])
        return found["classes"] <= 12 and len(seen) > _LOOKS and min(seen[-_LOOKS:]) >= min(seen[:-_LOOKS])

    becomes_true(is_steady, _TIMEOUT_S)
    return Figures.now()
