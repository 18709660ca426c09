"""What reaches the caller of a task or a method that raised."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import RayTaskError, TaskCancelledError, WorkerCrashedError

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Refuses whatever is assigned to it."""

    code: int


@ray.remote
class Plain:
    """Raises from methods and generators."""

    def fail(self) -> None:
        raise Frozen(1)

    def items(self) -> Iterator[int]:
        yield 1
        raise Frozen(1)


@ray.remote
class Async:
    """The same on an event loop."""

    async def fail(self) -> None:
        raise Frozen(1)

    def fail_at_once(self) -> None:
        raise Frozen(1)

    async def items(self) -> Any:
        yield 1
        raise Frozen(1)


@ray.remote
def fail() -> None:
    raise Frozen(1)


@ray.remote
async def fail_async() -> None:
    raise Frozen(1)


@ray.remote
def items() -> Iterator[int]:
    yield 1
    raise Frozen(1)


@ray.remote
async def items_async() -> Any:
    yield 1
    raise Frozen(1)


def last(references: Any) -> Any:
    """The last reference of a stream."""
    return list(references)[-1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: fail.remote(),
        lambda: fail.options(name="named").remote(),
        lambda: fail_async.remote(),
        lambda: Plain.remote().fail.remote(),
        lambda: Plain.options(max_concurrency=3).remote().fail.remote(),
        lambda: Async.remote().fail.remote(),
        lambda: Async.remote().fail_at_once.remote(),
        lambda: last(items.remote()),
        lambda: last(items_async.remote()),
        lambda: last(Plain.remote().items.options(num_returns="streaming").remote()),
        lambda: last(Plain.options(max_concurrency=3).remote().items.options(num_returns="streaming").remote()),
        lambda: last(Async.remote().items.options(num_returns="streaming").remote()),
        lambda: last(ray.get(items.options(num_returns="dynamic").remote(), timeout=TIMEOUT_S)),
        lambda: items.options(num_returns=2).remote()[1],
    ],
)
def test_a_frozen_exception_stays_what_it_is(call: Callable[[], Any]) -> None:
    with pytest.raises(Frozen) as caught:
        ray.get(call(), timeout=TIMEOUT_S)
    assert isinstance(caught.value, RayTaskError)
    assert caught.value.code == 1


def test_a_memory_error_is_caught() -> None:
    @ray.remote
    def hungry() -> None:
        raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        ray.get(hungry.remote(), timeout=TIMEOUT_S)


def test_the_last_words_of_a_task_that_exits() -> None:
    @ray.remote(max_retries=0)
    def leave() -> None:
        raise SystemExit("these are the last words")

    with pytest.raises(WorkerCrashedError, match=r"(?s)exit code 1\).*these are the last words"):
        ray.get(leave.remote(), timeout=TIMEOUT_S)


def test_an_interrupt_that_a_task_raises_is_a_cancel_with_its_text() -> None:
    @ray.remote
    def interrupt() -> None:
        raise KeyboardInterrupt("by hand")

    with pytest.raises(TaskCancelledError, match="KeyboardInterrupt: by hand"):
        ray.get(interrupt.remote(), timeout=TIMEOUT_S)


def test_an_error_with_parts_that_stay_behind() -> None:
    class HoldsLock(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__("text")
            self.lock, self.code = threading.Lock(), code

    @ray.remote
    def locked() -> None:
        raise HoldsLock(code=7)

    with pytest.raises(HoldsLock) as caught:
        ray.get(locked.remote(), timeout=TIMEOUT_S)
    assert caught.value.code == 7
    assert repr(caught.value.lock).startswith("<unlocked _thread.lock")


def test_an_exception_that_is_a_value_keeps_its_state() -> None:
    class KeywordOnly(Exception):
        def __init__(self, *, code: int) -> None:
            super().__init__(f"code {code}")
            self.code = code

    error = ray.get(ray.put([KeywordOnly(code=3)]))[0]
    assert (type(error), error.code, str(error)) == (KeywordOnly, 3, "code 3")
