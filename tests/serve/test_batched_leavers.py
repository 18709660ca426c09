"""Clients that leave while their requests are in a batch, or on the way to one: nobody else notices."""

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from ray_async import serve
from ray_async.serve.exceptions import RequestCancelledError
from tests.serve.sizes import size
from tests.serve.waiting import ongoing, wait_until

REQUESTS = size(90, 1000)  # in a round
ROUNDS = size(2, 20)
MOMENT = 0.0004 * REQUESTS  # seconds after which the last has left


class Batches:
    """Answers each request by what its body holds, in batches, and notes what the batch function has seen."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.known: set[int] = set()
        self.left_before: set[int] = set()

    def reconfigure(self, config: dict[str, Any]) -> None:
        self.predict.set_batch_wait_timeout_s(config["wait"])

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.01)
    async def predict(self, items: list[tuple[int, Any]]) -> list[int]:
        names = [name for name, _ in items]
        self.seen.append(names)
        self.known.update(names)
        await asyncio.sleep(0.001)
        return [(await body_of(source))["value"] for _, source in items]

    async def __call__(self, source: Any) -> int:
        name = source["value"] if isinstance(source, dict) else int(source.query_params["name"])
        try:
            answer: int = await self.predict((name, source))
        except asyncio.CancelledError:
            if name not in self.known:
                self.left_before.add(name)
            raise
        return answer

    async def notes(self) -> tuple[list[list[int]], set[int]]:
        """The batches, and those that have left before they were in one."""
        return self.seen, self.left_before

    async def forget(self) -> None:
        self.seen = []


class TwoAtATime(Batches):
    """The same, two batches at a time."""

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.01, max_concurrent_batches=2)
    async def predict(self, items: list[tuple[int, Any]]) -> list[int]:
        names = [name for name, _ in items]
        self.seen.append(names)
        self.known.update(names)
        await asyncio.sleep(0.001)
        return [(await body_of(source))["value"] for _, source in items]


async def body_of(source: Any) -> Any:
    return source if isinstance(source, dict) else await source.json()


async def ask(url: httpx.URL, number: int, leaves_after: float | None) -> int | None:
    """Send a request with a body; leave after some time, or give what the answer holds."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        body = json.dumps({"value": number}).encode()
        head = f"POST /?name={number} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        try:
            async with asyncio.timeout(leaves_after):
                answer = await reader.read()
        except TimeoutError:
            return None
        assert answer.startswith(b"HTTP/1.1 200"), answer
        return int(answer.rpartition(b"\r\n")[2])
    finally:
        writer.close()


async def call(handle: Any, number: int, leaves_after: float | None) -> int | None:
    """The same by handle, whose response is cancelled."""
    response = handle.remote({"value": number})
    if leaves_after is not None:
        await asyncio.sleep(leaves_after)
        response.cancel()
    try:
        answer: int = await response
    except RequestCancelledError:
        return None
    return answer


@pytest.mark.parametrize(("kind", "way"), [(Batches, "http"), (Batches, "handle"), (TwoAtATime, "http")])
async def test_the_others_have_their_answers(http: httpx.Client, kind: Any, way: str) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    deployment = serve.deployment(name="Batches", max_ongoing_requests=4000)(kind)
    handle = await asyncio.to_thread(serve.run, deployment.options(user_config={"wait": 0.01}).bind())
    for round_ in range(ROUNDS):
        numbers = [round_ * REQUESTS + number for number in range(REQUESTS)]
        leave = {number: chance.uniform(0, MOMENT) if chance.random() < 1 / 3 else None for number in numbers}
        asks = [
            ask(http.base_url, number, leave[number]) if way == "http" else call(handle, number, leave[number])
            for number in numbers
        ]
        for number, answer in zip(numbers, await asyncio.gather(*asks), strict=True):
            assert answer == number or (answer is None and leave[number] is not None)
        await asyncio.to_thread(wait_until, lambda: ongoing() == 0)
    batches, left_before = await handle.notes.remote()
    assert all(batches)
    assert not left_before & {number for batch in batches for number in batch}
    # Batches that form now are as full as ever.
    await asyncio.to_thread(serve.run, deployment.options(user_config={"wait": 1000}).bind())
    await handle.forget.remote()
    fresh = list(range(10**6, 10**6 + 8))
    assert await asyncio.gather(*(ask(http.base_url, number, None) for number in fresh)) == fresh
    assert [sorted(batch) for batch in (await handle.notes.remote())[0]] == [fresh]
