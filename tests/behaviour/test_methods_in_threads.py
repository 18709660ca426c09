"""Sync methods of async actors, on the loop or in threads, as asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.util import state

TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


class Mixed:
    """An async actor with sync methods."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    async def open(self) -> str:
        self.gate.set()
        return threading.current_thread().name

    def on_loop(self) -> str:
        return threading.current_thread().name

    @ray.method(run_in_thread=True)
    def in_thread(self) -> bool:
        return self.gate.wait(TIMEOUT_S)

    @ray.method(run_in_thread=True)
    def name(self) -> str:
        return threading.current_thread().name

    @ray.method(run_in_thread=True)
    def fail(self) -> None:
        raise KeyError("in a thread")

    @ray.method(run_in_thread=True)
    def until_cancelled(self) -> None:
        while not ray.get_runtime_context().is_canceled():
            self.gate.wait(0.01)


def test_a_method_in_a_thread_leaves_the_loop_free() -> None:
    actor: Any = ray.remote(Mixed).remote()
    waits = [actor.in_thread.remote() for _ in range(20)]
    assert ray.get(actor.open.remote(), timeout=TIMEOUT_S) == "MainThread"
    assert ray.get(waits, timeout=TIMEOUT_S) == [True] * 20
    assert ray.get(actor.on_loop.remote(), timeout=TIMEOUT_S) == "MainThread"
    assert ray.get(actor.name.remote(), timeout=TIMEOUT_S).startswith("ray::method")


def test_the_class_and_the_call_can_ask_too() -> None:
    actor: Any = ray.remote(run_in_thread=True)(Mixed).remote()
    assert ray.get(actor.on_loop.remote(), timeout=TIMEOUT_S) != "MainThread"
    assert ray.get(actor.open.remote(), timeout=TIMEOUT_S) == "MainThread"
    assert ray.get(actor.on_loop.options(run_in_thread=False).remote(), timeout=TIMEOUT_S) == "MainThread"


def test_errors_and_cancels() -> None:
    actor: Any = ray.remote(Mixed).remote()
    with pytest.raises(KeyError, match="in a thread"):
        ray.get(actor.fail.remote(), timeout=TIMEOUT_S)
    ref = actor.until_cancelled.remote()
    ray.get(actor.on_loop.remote(), timeout=TIMEOUT_S)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=TIMEOUT_S)
    assert ray.get(actor.on_loop.remote(), timeout=TIMEOUT_S) == "MainThread"
    assert [row["class_name"] for row in state.list_actors()] == ["Mixed"]


def test_an_async_method_cannot_ask() -> None:
    with pytest.raises(ValueError, match="asynchronous"):

        @ray.method(run_in_thread=True)
        async def method(self: Any) -> None: ...
