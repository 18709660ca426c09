"""Cancels whose interrupt Python drops: the exception is raised in `__del__`, or in a weak reference's callback."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from tests.behaviour.test_settings import TIMEOUT_S
from tests.gate import Gate


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


class Slow:
    """An object whose end lasts until a signal comes."""

    def __init__(self, gate: Any) -> None:
        self.gate = gate

    def __del__(self) -> None:
        self.gate.open.remote()
        while True:
            time.sleep(0.001)


class Watched:
    """An object that a weak reference is called back for."""


def end_slowly(gate: Any, kind: str) -> None:
    if kind == "finalizer":
        Slow(gate)
        return

    def slow(_: Any) -> None:
        gate.open.remote()
        while True:
            time.sleep(0.001)

    watched = Watched()
    kept = weakref.ref(watched, slow)
    del watched
    del kept


@ray.remote
def runs_for_ever(gate: Any, kind: str) -> None:
    end_slowly(gate, kind)
    while True:
        time.sleep(0.001)


@ray.remote
async def holds_its_loop(gate: Any, kind: str) -> None:
    end_slowly(gate, kind)
    while True:
        time.sleep(0.001)


@pytest.mark.parametrize("kind", ["finalizer", "callback"])
@pytest.mark.parametrize("function", [runs_for_ever, holds_its_loop])
def test_a_cancel_that_python_drops_comes_again(function: Any, kind: str) -> None:
    gate = Gate.remote()
    ref = function.remote(gate, kind)
    ray.get(gate.wait.remote(), timeout=TIMEOUT_S)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=TIMEOUT_S)
