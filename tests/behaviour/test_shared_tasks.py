"""Coroutine methods share asyncio tasks for as long as they do not wait: nobody notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

import ray_async as ray

TIMEOUT_S = 60
calls_before: ContextVar[int] = ContextVar("calls_before", default=0)
made_by: ContextVar[str] = ContextVar("made_by", default="nobody")


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


class Unpicklable(Exception):
    """Cannot be sent, in the worst way."""

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


class Large(Exception):
    """Carries bytes, of which its text does not tell."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.data = bytes(size)


class Host:
    """Travels by reference, as context variables cannot be pickled."""

    def __init__(self) -> None:
        made_by.set("init")
        self.log: list[Any] = []
        self.tasks: set[Any] = set()
        self.gate = asyncio.Event()
        self.kept: asyncio.Task[Any] | None = None

    async def count(self, waits: bool) -> int:
        """How many calls the context has seen, before and after a wait."""
        before = calls_before.get()
        calls_before.set(before + 1)
        if waits:
            await asyncio.sleep(0)
        return before + calls_before.get() - 1

    async def maker(self) -> str:
        return made_by.get()

    async def note(self, value: Any, waits: bool = False) -> bool:
        """Note a value; whether the task is the same at the end."""
        self.log.append(value)
        task = asyncio.current_task()
        if waits:
            await asyncio.sleep(0)
        return task is not None and asyncio.current_task() is task

    async def noted(self) -> list[Any]:
        return self.log

    async def noted_names(self) -> list[str]:
        return [type(value).__name__ for value in self.log]

    async def wait(self) -> str:
        """Wait for the gate; tell if it is this call's own task that is cancelled."""
        task = asyncio.current_task()
        assert task not in self.tasks
        self.tasks.add(task)
        try:
            await self.gate.wait()
        finally:
            self.tasks.discard(task)
        return "through"

    async def open(self) -> None:
        self.gate.set()

    async def cancel_itself(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "done"

    async def fail(self, number: int) -> None:
        raise KeyError(number)

    async def remember(self) -> None:
        """Keep what the task is known by."""
        self.kept = asyncio.current_task()

    async def hang_on(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self.log.append)

    async def cancel_kept(self) -> bool:
        assert self.kept is not None
        return self.kept.cancel()

    async def stall(self, seconds: float) -> None:
        """Hold the loop up, then wait."""
        time.sleep(seconds)
        await asyncio.sleep(0)

    async def take(self, value: Any) -> Any:
        return value

    async def raise_large(self, size: int) -> None:
        raise Large(size)

    async def raise_what_exits(self) -> None:
        raise Unpicklable

    async def group(self) -> list[int]:
        """Use what needs the current task."""
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.count(False)) for _ in range(3)]
        return [task.result() for task in tasks]


Actor = ray.remote(num_cpus=0)(Host)


@ray.remote(num_cpus=0)
def never_ends() -> None:
    time.sleep(1000)


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize("waits", [False, True])
def test_no_call_sees_the_context_of_another(limit: int, waits: bool) -> None:
    host = Actor.options(max_concurrency=limit).remote()
    for _ in range(3):
        assert set(ray.get([host.count.remote(waits) for _ in range(700)], timeout=TIMEOUT_S)) == {0}
    assert {ray.get(host.count.remote(waits), timeout=TIMEOUT_S) for _ in range(300)} == {0}
    assert set(ray.get([host.maker.remote() for _ in range(10)], timeout=TIMEOUT_S)) == {"init"}


def test_calls_begin_in_order_whichever_task_they_get() -> None:
    host = Actor.remote()
    refs = []
    for number in range(0, 900, 3):
        refs.append(host.note.remote(number, number % 4 == 0))
        refs.append(host.note.options(name="other").remote(number + 1))
        refs.append(host.note.remote(number + 2))
    assert all(ray.get(refs, timeout=TIMEOUT_S))
    assert ray.get(host.noted.remote(), timeout=TIMEOUT_S) == list(range(900))


def test_calls_that_wait_have_tasks_of_their_own() -> None:
    host = Actor.remote()
    waiting = []
    for _ in range(20):
        waiting += [host.wait.remote() for _ in range(10)]
        assert ray.get(host.maker.remote(), timeout=TIMEOUT_S) == "init"
    cancelled, others = waiting[::7], [ref for index, ref in enumerate(waiting) if index % 7]
    for ref in cancelled:
        ray.cancel(ref)
    for ref in cancelled:
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(ref, timeout=TIMEOUT_S)
    ray.get(host.open.remote(), timeout=TIMEOUT_S)
    assert ray.get(others, timeout=TIMEOUT_S) == ["through"] * len(others)


def test_a_call_that_cancels_its_task_cancels_no_other() -> None:
    host = Actor.remote()
    refs = [host.cancel_itself.remote() if index % 3 else host.maker.remote() for index in range(300)]
    assert set(ray.get(refs, timeout=TIMEOUT_S)) == {"done", "init"}
    assert ray.get(host.note.remote(0, True), timeout=TIMEOUT_S)


def test_a_call_that_fails_fails_alone() -> None:
    host = Actor.remote()
    refs = [host.fail.remote(index) if index % 5 == 0 else host.note.remote(index) for index in range(200)]
    for index, ref in enumerate(refs):
        if index % 5:
            assert ray.get(ref, timeout=TIMEOUT_S)
        else:
            with pytest.raises(KeyError) as caught:
                ray.get(ref, timeout=TIMEOUT_S)
            assert "steps.pyx" not in str(caught.value)
            assert "async_host" not in str(caught.value)
            assert caught.value.cause.args == (index,)


def test_a_task_that_a_call_has_kept_is_no_other_calls() -> None:
    host = Actor.remote()
    remembered, waiting = host.remember.remote(), host.wait.remote()
    ray.get(remembered, timeout=TIMEOUT_S)
    assert ray.get(host.cancel_kept.remote(), timeout=TIMEOUT_S) is False  # it is done
    ray.get(host.open.remote(), timeout=TIMEOUT_S)
    assert ray.get(waiting, timeout=TIMEOUT_S) == "through"
    rest = [host.hang_on.remote(), host.wait.remote(), host.maker.remote()][1:]
    assert ray.get(rest, timeout=TIMEOUT_S) == ["through", "init"]
    assert len(ray.get(host.noted_names.remote(), timeout=TIMEOUT_S)) == 1


def test_a_cancel_while_the_loop_is_held_up_before_the_call_has_begun() -> None:
    host = Actor.remote()
    never = never_ends.remote()
    stalled = host.stall.remote(3)
    victim, plain = host.take.remote(never), host.maker.remote()
    ray.cancel(victim)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(victim, timeout=TIMEOUT_S)
    ray.get(stalled, timeout=TIMEOUT_S)
    assert ray.get(plain, timeout=TIMEOUT_S) == "init"


def test_an_error_that_cannot_be_stored_is_told_and_loses_no_other_call() -> None:
    host = Actor.remote()
    refs = [host.raise_large.remote(101 << 20), *(host.take.remote(number) for number in range(5))]
    with pytest.raises(ray.exceptions.RaySystemError, match="could not be stored: ObjectStoreFullError"):
        ray.get(refs[0], timeout=TIMEOUT_S)
    assert ray.get(refs[1:], timeout=TIMEOUT_S) == list(range(5))
    with pytest.raises(ray.exceptions.RaySystemError, match="could not be stored: KeyboardInterrupt"):
        ray.get(host.raise_what_exits.remote(), timeout=TIMEOUT_S)
    assert ray.get(host.take.remote(1), timeout=TIMEOUT_S) == 1


def test_concurrency_groups_see_what_init_has_set() -> None:
    host = ray.remote(num_cpus=0, concurrency_groups={"io": 2})(Host).remote()
    for call in (host.maker, host.maker.options(concurrency_group="io")):
        assert ray.get(call.remote(), timeout=TIMEOUT_S) == "init"
    assert set(ray.get([host.count.remote(True) for _ in range(50)], timeout=TIMEOUT_S)) == {0}


def test_what_needs_the_current_task() -> None:
    host = Actor.remote()
    assert ray.get([host.group.remote() for _ in range(100)], timeout=TIMEOUT_S) == [[0, 0, 0]] * 100
