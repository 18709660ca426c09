"""Coroutines driven in a context of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from ray_async._core.steps import Steps, begin
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


async def finish(begun: Any) -> Any:
    return await begun if type(begun) is Steps else begun


@pytest.mark.parametrize("waits", [0, 1, 3])
@pytest.mark.parametrize("result", [None, (), (1, 2), StopIteration(3)], ids=repr)
async def test_the_value_and_the_context(waits: int, result: Any) -> None:
    for _ in range(2):
        context = copy_context()
        begun = begin(RECORD, value(waits, result), context)
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
        await finish(begin(RECORD, fail(waits), copy_context()))
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
            return await begin(RECORD, clean_up(log, stubborn), copy_context())

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
        return await begin(RECORD, waiting(), copy_context())

    outer: Coroutine[Any, Any, Any] = call()
    outer.send(None)
    outer.close()
    assert log == ["closed"]


async def test_a_context_that_is_entered_is_refused() -> None:
    context = copy_context()
    coroutine = value(0, None)
    with pytest.raises(RuntimeError, match="already entered"):
        context.run(begin, RECORD, coroutine, context)
    coroutine.close()
