"""Cancels whose interrupt Python drops: the exception is raised in `__del__`, or in a weak reference's callback."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from tests.runtime.test_settings import TIMEOUT_S


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


@ray.remote(num_cpus=0)
class Gate:
    def __init__(self) -> None:
        import asyncio

        self.began = asyncio.Event()

    async def begin(self) -> None:
        self.began.set()

    async def begun(self) -> None:
        await self.began.wait()


def loop_for(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Slow:
    """An object whose end takes long: a signal comes while it runs."""

    def __init__(self, gate: Any) -> None:
        self.gate = gate

    def __del__(self) -> None:
        self.gate.begin.remote()
        loop_for(1)


class Watched:
    """An object that a weak reference is called back for."""


def end_slowly(gate: Any, kind: str) -> None:
    if kind == "finalizer":
        Slow(gate)
        return

    def slow(_: Any) -> None:
        gate.begin.remote()
        loop_for(1)

    watched = Watched()
    kept = weakref.ref(watched, slow)
    del watched
    del kept


@ray.remote
def runs_for_ever(gate: Any, kind: str) -> None:
    end_slowly(gate, kind)
    while True:
        loop_for(0.01)


@ray.remote
async def holds_its_loop(gate: Any, kind: str) -> None:
    end_slowly(gate, kind)
    while True:
        loop_for(0.01)


@pytest.mark.parametrize("kind", ["finalizer", "callback"])
@pytest.mark.parametrize("function", [runs_for_ever, holds_its_loop])
def test_a_cancel_that_python_drops_comes_again(function: Any, kind: str) -> None:
    gate = Gate.remote()
    ref = function.remote(gate, kind)
    ray.get(gate.begun.remote(), timeout=TIMEOUT_S)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=TIMEOUT_S)
