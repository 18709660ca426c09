"""Coroutines driven in a context of their own."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any

import pytest

from ray_async._core.steps import PlainCall, Steps
from ray_async._core.submission import current_parent

RECORD = 4096
number: ContextVar[int] = ContextVar("number", default=0)


async def value(waits: int, result: Any) -> Any:
    assert current_parent() == RECORD
    number.set(number.get() + 1)
    for _ in range(waits):
        await asyncio.sleep(0)
        assert current_parent() == RECORD
    assert number.get() == 1
    return result


class Results:
    """In the executor's place: what the calls were completed with."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def is_cancelled(self, record: int) -> bool:
        return False

    def succeed(self, record: int, result: Any) -> None:
        assert record == RECORD == current_parent()
        self.values.append(result)


def begin(
    function: Callable[..., Coroutine[Any, Any, Any]], *args: Any, context: Context | None = None
) -> Steps | list[Any]:
    """Run a call to where it waits; the values that it was completed with when it does not wait."""
    results = Results()
    call = PlainCall(results, RECORD, function, None, args, {})
    return call.run(copy_context() if context is None else context) or results.values


async def finish(begun: Any) -> Any:
    if type(begun) is Steps:
        return await begun
    (result,) = begun
    return result


@pytest.mark.parametrize("waits", [0, 1, 3])
@pytest.mark.parametrize("result", [None, (), (1, 2), StopIteration(3)], ids=repr)
async def test_the_value_and_the_context(waits: int, result: Any) -> None:
    for _ in range(2):
        context = copy_context()
        begun = begin(value, waits, result, context=context)
        assert (type(begun) is Steps) == (waits > 0)
        assert number.get() == 0
        assert current_parent() == 0
        assert await finish(begun) is result
        assert context[number] == 1
        assert number.get() == 0


async def fail(waits: int) -> None:
    for _ in range(waits):
        await asyncio.sleep(0)
    raise KeyError("here")


@pytest.mark.parametrize("waits", [0, 2])
async def test_errors(waits: int) -> None:
    with pytest.raises(KeyError, match="here"):
        await finish(begin(fail, waits))
    assert current_parent() == 0


async def clean_up(log: list[str], stubborn: bool) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        log.append(f"cleaned up as {current_parent()}")
        if not stubborn:
            raise
    return "stayed"


async def test_a_cancel_reaches_the_coroutine() -> None:
    log: list[str] = []

    def run(stubborn: bool) -> asyncio.Task[Any]:
        async def call() -> Any:
            return await finish(begin(clean_up, log, stubborn))

        return asyncio.create_task(call())

    leaves, stays = run(False), run(True)
    await asyncio.sleep(0)
    leaves.cancel()
    stays.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    assert await stays == "stayed"
    assert log == [f"cleaned up as {RECORD}"] * 2


async def test_the_end_of_the_awaiting_coroutine_is_the_end_of_both() -> None:
    log: list[str] = []

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("closed")

    async def call() -> Any:
        return await finish(begin(waiting))

    outer: Coroutine[Any, Any, Any] = call()
    outer.send(None)
    outer.close()
    assert log == ["closed"]


class Large:
    pass


async def let_go(seen: list[weakref.ref[Large]], argument: Large, *, waits: bool) -> bool:
    seen.append(weakref.ref(argument))
    del argument
    if waits:
        await asyncio.sleep(0)
    return seen[0]() is None


@pytest.mark.parametrize("waits", [False, True])
async def test_a_coroutine_can_let_go_of_its_arguments(waits: bool) -> None:
    results = Results()
    call = PlainCall(results, RECORD, let_go, None, ([], Large()), {"waits": waits})
    steps = call.run(copy_context())
    assert (await steps if steps else results.values[0]) is True


async def test_a_context_that_is_entered_is_refused() -> None:
    context = copy_context()
    with pytest.raises(RuntimeError, match="already entered"):
        context.run(begin, value, 0, None, context=context)
