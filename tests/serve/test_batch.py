"""`serve.batch`: calls that are run together."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.context import (
    RequestContext,
    _get_serve_batch_request_context,
    _get_serve_request_context,
    current_request,
)
from ray_async.serve.exceptions import RayServeException, RequestCancelledError
from tests.serve.test_handles import Kinds

LONG = 1000  # seconds: a wait that no test lasts


class Doubles:
    """Notes its batches; they go on when the gate is open."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.models: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=LONG)
    async def double(self, items: list[int]) -> list[Any]:
        self.batches.append(items)
        self.models.append(serve.get_multiplexed_model_id())
        await self.gate.wait()
        return [2 * item for item in items]

    @serve.batch(max_batch_size=3, batch_wait_timeout_s=LONG)
    async def count(self, limits: list[int]) -> AsyncIterator[list[Any]]:
        self.batches.append(limits)
        for number in range(max(limits)):
            yield [number if number < limit else StopAsyncIteration() for limit in limits]


async def _awaits(awaitable: Any) -> Any:
    return await awaitable


async def test_calls_are_run_together() -> None:
    one, other = Doubles(), Doubles()
    doubled = await asyncio.gather(*(one.double(n) for n in range(8)), *(other.double(items=n) for n in range(4)))
    assert doubled == [0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6]
    assert one.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert other.batches == [[0, 1, 2, 3]]


async def test_the_next_batch_does_not_wait_for_the_callers_of_the_last() -> None:
    seen: list[str] = []

    @serve.batch(max_batch_size=2, batch_wait_timeout_s=LONG)
    async def same(items: list[int]) -> list[int]:
        seen.append(f"batch {items}")
        await asyncio.sleep(0)
        return items

    async def ask(number: int) -> None:
        seen.append(f"answer {await same(number)}")

    await asyncio.gather(*(ask(number) for number in range(4)))
    assert seen == ["batch [0, 1]", "batch [2, 3]", *(f"answer {number}" for number in range(4))]


async def test_parameters_that_must_be_named() -> None:
    @serve.batch(max_batch_size=1)
    async def double(*, items: list[int]) -> list[int]:
        return [2 * item for item in items]

    assert await double(items=1) == 2
    with pytest.raises(TypeError):
        await double()
    with pytest.raises(TypeError):
        await double(1)


async def test_a_function_with_several_parameters() -> None:
    seen = []

    @serve.batch(max_batch_size=3, batch_wait_timeout_s=0)
    async def add(left: list[int], right: list[int], scale: Any = 1) -> list[int]:
        seen.append(scale)
        return [a + b for a, b in zip(left, right, strict=True)]

    sums: list[int] = list(await asyncio.gather(add(1, 2), add(3, right=4), add(left=5, right=6)))
    assert sums == [3, 7, 11]
    assert await add(1, 2, scale=5) == 3
    assert seen == [1, [5]]
    with pytest.raises(TypeError, match="right"):
        await add(1)
    results = await asyncio.gather(add(1, 2), add(1, 2, 3), return_exceptions=True)
    assert [type(result) for result in results] == [RayServeException] * 2


async def test_a_single_call_waits_for_others() -> None:
    @serve.batch(max_batch_size=10, batch_wait_timeout_s=0.01)
    async def same(items: list[int]) -> list[int]:
        return items

    assert await same(5) == 5
    assert await same(6) == 6


async def test_sizes_and_waits_can_be_changed_in_use() -> None:
    doubles = Doubles()
    waiting = [asyncio.create_task(doubles.double(n)) for n in range(3)]
    await asyncio.sleep(0)
    doubles.double.set_max_batch_size(3)
    assert await asyncio.gather(*waiting) == [0, 2, 4]
    lone = asyncio.create_task(doubles.double(7))
    await asyncio.sleep(0)
    doubles.double.set_batch_wait_timeout_s(0)
    assert await lone == 14
    assert (doubles.double._get_max_batch_size(), doubles.double._get_batch_wait_timeout_s()) == (3, 0)
    for setter in (doubles.double.set_max_batch_size, doubles.double.set_batch_wait_timeout_s):
        with pytest.raises(ValueError, match="or more"):
            setter(-1)
    doubles.double.set_max_batch_size(4)
    doubles.double.set_batch_wait_timeout_s(LONG)


async def test_cancelled_items_leave_the_batch() -> None:
    doubles = Doubles()
    doubles.gate.clear()
    first = [asyncio.create_task(doubles.double(n)) for n in range(4)]
    while not doubles.batches:
        await asyncio.sleep(0)
    gone = [asyncio.create_task(doubles.double(n)) for n in range(10, 14)]
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    fresh = [asyncio.create_task(doubles.double(n)) for n in range(20, 24)]
    first[1].cancel()
    await asyncio.sleep(0)
    doubles.gate.set()
    assert await asyncio.gather(*fresh) == [40, 42, 44, 46]
    assert doubles.batches == [[0, 1, 2, 3], [20, 21, 22, 23]]
    assert [first[n].result() for n in (0, 2, 3)] == [0, 4, 6]
    assert all(task.cancelled() for task in (*gone, first[1]))


async def test_a_batch_that_nobody_waits_for_is_cancelled() -> None:
    doubles = Doubles()
    doubles.gate.clear()
    calls = [asyncio.create_task(doubles.double(n)) for n in range(4)]
    while not doubles.batches:
        await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)
    # Its place is free again, though the gate is closed to it.
    calls = [asyncio.create_task(doubles.double(n)) for n in range(4)]
    while len(doubles.batches) < 2:
        await asyncio.sleep(0)
    doubles.gate.set()
    assert await asyncio.gather(*calls) == [0, 2, 4, 6]


async def test_what_runs_can_be_looked_at() -> None:
    class Own(Doubles):
        @serve.batch(max_batch_size=4, batch_wait_timeout_s=LONG)
        async def double(self, items: list[int]) -> list[Any]:
            self.batches.append(items)
            await self.gate.wait()
            return [2 * item for item in items]

    doubles = Own()
    doubles.gate.clear()
    look: Any = doubles.double
    assert look._get_curr_iteration_start_times().min_start_time is None
    before = time.time()
    calls = [asyncio.ensure_future(doubles.double(n)) for n in range(4)]
    while not doubles.batches:
        await asyncio.sleep(0)
    running = look._get_curr_iteration_start_times()
    assert len(running.start_times) == 1
    assert before <= running.min_start_time == running.max_start_time == running.mean_start_time <= time.time()
    assert "Stack for <Task pending" in await look._get_handling_task_stack()
    assert await look._is_batching_task_alive()
    doubles.gate.set()
    assert await asyncio.gather(*calls) == [0, 2, 4, 6]
    assert look._get_curr_iteration_start_times() == running  # the last one


async def test_a_batch_knows_its_requests() -> None:
    seen: list[list[str]] = []

    @serve.batch(max_batch_size=3, batch_wait_timeout_s=0)
    async def note(items: list[int]) -> list[int]:
        seen.append([request.request_id for request in _get_serve_batch_request_context()])
        return items

    async def ask(name: str, item: int) -> int:
        current_request.set(RequestContext(name))
        assert _get_serve_request_context().request_id == name
        result: int = await note(item)
        return result

    assert list(await asyncio.gather(note(0), ask("a", 1), ask("b", 2))) == [0, 1, 2]
    assert seen == [["a", "b"]]
    assert _get_serve_request_context().request_id == ""
    assert _get_serve_batch_request_context() == []


async def test_several_batches_at_a_time() -> None:
    entered, gate = 0, asyncio.Event()

    @serve.batch(max_batch_size=2, batch_wait_timeout_s=0, max_concurrent_batches=2)
    async def held(items: list[int]) -> list[int]:
        nonlocal entered
        entered += 1
        await gate.wait()
        return items

    calls = [asyncio.create_task(held(n)) for n in range(6)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert entered == 2
    gate.set()
    assert await asyncio.gather(*calls) == list(range(6))
    assert entered == 3


async def test_each_batch_has_one_model() -> None:
    doubles = Doubles()

    async def call(number: int) -> Any:
        current_request.set(RequestContext(str(number), "", "app", "ab"[number % 2]))
        return await doubles.double(number)

    assert await asyncio.gather(*(call(n) for n in range(16))) == [2 * n for n in range(16)]
    assert doubles.models == ["a", "b", "a", "b"]
    assert [{n % 2 for n in batch} for batch in doubles.batches] == [{0}, {1}, {0}, {1}]


async def test_errors() -> None:
    @serve.batch(max_batch_size=3, batch_wait_timeout_s=0)
    async def answer(items: list[Any]) -> Any:
        if "all" in items:
            raise KeyError("all")
        if "cancel" in items:
            raise asyncio.CancelledError
        if "text" in items:
            return "abc"
        if "none" in items:
            return None
        if "short" in items:
            return items[1:]
        return [ValueError(item) if item == "one" else item for item in items]

    async def call(*items: str) -> list[Any]:
        return await asyncio.gather(*(answer(item) for item in items), return_exceptions=True)

    good, bad, fine = await call("a", "one", "b")
    assert (good, fine, type(bad)) == ("a", "b", ValueError)
    assert [type(error) for error in await call("a", "all", "b")] == [KeyError] * 3
    assert [type(error) for error in await call("a", "cancel")] == [RequestCancelledError] * 2
    for what, words in (("text", "gave str"), ("none", "NoneType"), ("short", "3 items and gave 2")):
        errors = await call(what, "a", "b")
        assert [isinstance(error, RayServeException) for error in errors] == [True] * 3
        assert isinstance(errors[0], TypeError) == (what != "short")
        assert words in str(errors[0])
    assert await call("a") == ["a"]


async def test_an_item_that_cannot_be_measured() -> None:
    @serve.batch(max_batch_size=5, batch_wait_timeout_s=0, batch_size_fn=lambda items: sum(map(len, items)))
    async def lengths(items: list[Any]) -> list[int]:
        return [len(item) for item in items]

    assert await lengths("ok") == 2
    with pytest.raises(TypeError):
        await lengths(None)
    with pytest.raises(ValueError, match="larger than max_batch_size=5"):
        await lengths("muchtoolong")
    assert await lengths("ok") == 2


async def test_streams() -> None:
    doubles = Doubles()

    async def collect(limit: int) -> list[int]:
        return [number async for number in doubles.count(limit)]

    collected = list(await asyncio.gather(*map(collect, (2, 3, 1))))
    assert collected == [[0, 1], [0, 1, 2], [0]]
    assert doubles.batches == [[2, 3, 1]]


async def test_a_stream_that_is_left_early() -> None:
    closed = asyncio.Event()

    @serve.batch(max_batch_size=2, batch_wait_timeout_s=0)
    async def endless(items: list[Any]) -> AsyncIterator[list[Any]]:
        try:
            while True:
                yield items
                await asyncio.sleep(0)
        finally:
            closed.set()

    stream: Any = endless(1)
    assert await anext(stream) == 1
    await stream.aclose()
    await closed.wait()


async def test_a_stream_that_fails() -> None:
    @serve.batch(max_batch_size=2, batch_wait_timeout_s=0)
    async def fails(items: list[Any]) -> AsyncIterator[list[Any]]:
        yield items
        raise KeyError("later")

    stream: Any = fails(1)
    assert await anext(stream) == 1
    with pytest.raises(KeyError, match="later"):
        await anext(stream)


class InThreads:
    """Runs its batches in a thread."""

    def __init__(self) -> None:
        self.begun: list[threading.Event] = []

    def model(self, items: list[int]) -> list[int]:
        self.begun[-1].set()
        return items

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=LONG)
    async def predict(self, items: list[int]) -> list[int]:
        self.begun.append(threading.Event())
        return await asyncio.to_thread(self.model, items)


@pytest.mark.blocks_loop
async def test_the_thread_of_the_next_batch_begins_before_the_callers_of_the_last_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, seen = InThreads(), list[int]()

    async def ask(number: int) -> None:
        seen.append(await model.predict(number))

    def pause() -> None:
        assert len(model.begun) == 2  # the next batch's function has been called
        assert model.begun[1].wait(60)  # and its thread can begin
        assert seen == []

    monkeypatch.setattr("ray_async.serve.batching.batcher._let_threads_go", pause)
    await asyncio.gather(*(ask(number) for number in range(16)))
    assert seen == list(range(16))


def test_bad_arguments() -> None:
    async def good(items: list[Any]) -> list[Any]:
        return items

    assert serve.batch(max_batch_size=1.0)(good)._get_max_batch_size() == 1
    for options, error in (
        ({"max_batch_size": 0}, ValueError),
        ({"max_batch_size": 1.5}, TypeError),
        ({"max_batch_size": "1"}, TypeError),
        ({"batch_wait_timeout_s": -0.1}, ValueError),
        ({"batch_wait_timeout_s": "a"}, TypeError),
        ({"max_concurrent_batches": 0}, ValueError),
        ({"batch_size_fn": 3}, TypeError),
    ):
        with pytest.raises(error):
            serve.batch(**options)(good)
    with pytest.raises(TypeError, match="async"):
        serve.batch(lambda items: items)
    with pytest.raises(TypeError, match="listed"):

        @serve.batch
        async def starred(*items: Any) -> list[Any]:
            return list(items)


@ray.remote(num_cpus=0)
def square(number: int) -> int:
    return number * number


@serve.deployment(max_ongoing_requests=100)
class Model:
    def __init__(self, kinds: Any) -> None:
        self.kinds = kinds
        self.batches: list[int] = []

    def reconfigure(self, config: dict[str, Any]) -> None:
        self.predict.set_max_batch_size(config["size"])

    @serve.batch(max_batch_size=1, batch_wait_timeout_s=0.2)
    async def predict(self, texts: list[str]) -> list[Any]:
        self.batches.append(len(texts))
        lengths = [await self.kinds.sync.remote(len(text)) for text in texts]
        squares = [await square.remote(length) for length in lengths]
        return [
            HTTPException(422, "empty") if not text else [text, number]
            for text, number in zip(texts, squares, strict=True)
        ]

    @serve.batch(max_batch_size=2, batch_wait_timeout_s=0.2)
    async def letters(self, texts: list[str]) -> AsyncIterator[list[str]]:
        for letters in zip(*texts, strict=True):
            yield list(letters)

    async def __call__(self, request: Request) -> Any:
        body = await request.json()
        if "stream" in body:
            return self.letters(body["stream"])
        return await self.predict(body["text"])

    def seen(self) -> list[int]:
        return self.batches


async def test_batches_in_a_deployment(http: httpx.Client) -> None:
    app = Model.options(user_config={"size": 4}).bind(Kinds.bind())
    handle = await asyncio.to_thread(serve.run, app)
    async with httpx.AsyncClient(base_url=http.base_url, timeout=60) as client:
        asks = [client.post("/", json={"text": text}) for text in ("a", "bb", "", "ccc")]
        answers = await asyncio.gather(*asks)
        assert Counter(answer.status_code for answer in answers) == {200: 3, 422: 1}
        assert [answer.json() for answer in answers if answer.status_code == 200] == [["a", 1], ["bb", 4], ["ccc", 9]]
        streams = await asyncio.gather(*(client.post("/", json={"stream": text}) for text in ("ab", "xy")))
        assert [answer.text for answer in streams] == ["ab", "xy"]
    assert await asyncio.gather(*(handle.predict.remote(text) for text in ("a", "b", "c", "d"))) == [
        [text, 1] for text in "abcd"
    ]
    with pytest.raises(HTTPException):
        await handle.predict.remote("")
    assert await handle.seen.remote() == [4, 4, 1]


async def test_requests_that_are_cancelled_while_a_batch_forms(http: httpx.Client) -> None:
    @serve.deployment(max_ongoing_requests=100)
    class Forms:
        def __init__(self) -> None:
            self.batches: list[list[int]] = []

        @serve.batch(max_batch_size=8, batch_wait_timeout_s=LONG)
        async def predict(self, items: list[int]) -> list[int]:
            self.batches.append(items)
            return items

        async def __call__(self, item: int) -> Any:
            return await self.predict(item)

        async def seen(self) -> list[list[int]]:
            return self.batches

    handle = await asyncio.to_thread(serve.run, Forms.bind())
    gone = [handle.remote(n) for n in range(7)]
    for response in gone:
        response.cancel()
    for response in gone:
        with pytest.raises(RequestCancelledError):
            await response
    assert await asyncio.gather(*(handle.remote(n) for n in range(10, 18))) == list(range(10, 18))
    assert [sorted(batch) for batch in await handle.seen.remote()] == [list(range(10, 18))]
