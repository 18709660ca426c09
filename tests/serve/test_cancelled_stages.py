"""Requests whose callers leave at any moment, three stages deep: whatever has started ends, and nothing more starts."""

import asyncio
import random
from typing import Any

import httpx
import pytest

from ray_async import serve
from tests.serve.sizes import size
from tests.serve.waiting import ongoing, wait_until

REQUESTS = size(60, 1000)  # at a time
ROUNDS = size(2, 10)
STEP = 0.02  # seconds of work before and after the call below
LONGEST = 6 * STEP + 0.0005 * REQUESTS  # seconds: about the time in which so many requests are answered


@serve.deployment(max_ongoing_requests=2000)
class Stage:
    def __init__(self, below: Any = None) -> None:
        self.below = below
        self.started: set[str] = set()
        self.counts = {"started": 0, "finished": 0, "cancelled": 0}
        self.never_called: set[str] = set()  # requests that were cancelled before they called the stage below

    async def __call__(self, request: Any) -> str:
        name: str = request if isinstance(request, str) else request.query_params["name"]
        self.counts["started"] += 1
        self.started.add(name)
        called = False
        try:
            await asyncio.sleep(STEP)
            called = True
            if self.below is not None:
                await self.below.remote(name)
            await asyncio.sleep(STEP)
        except asyncio.CancelledError:
            self.counts["cancelled"] += 1
            if not called:
                self.never_called.add(name)
            raise
        self.counts["finished"] += 1
        return name

    async def seen(self) -> tuple[dict[str, int], set[str], set[str]]:
        return self.counts, self.started, self.never_called


def all_seen() -> list[Any]:
    handles = [serve.get_deployment_handle(name, "default") for name in ("A", "B", "C")]
    return [handle.seen.remote().result() for handle in handles]


def all_ended() -> bool:
    counts = [counts for counts, _, _ in all_seen()]
    return all(one["started"] == one["finished"] + one["cancelled"] for one in counts)


async def by_leaving(url: httpx.URL, name: str, chance: random.Random) -> None:
    """Close the connection at some moment, before the request is taken or just before its answer."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    delay = chance.uniform(0, LONGEST)
    writer.write(f"GET /?name={name} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    try:
        async with asyncio.timeout(delay):
            await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        pass
    writer.close()


async def by_timeout(url: httpx.URL, name: str, chance: random.Random) -> None:
    """Let the server's time for the request be over at some moment."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    seconds = f"x-request-timeout-seconds: {chance.uniform(0.001, LONGEST)}"
    writer.write(f"GET /?name={name} HTTP/1.1\r\nhost: x\r\n{seconds}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.split()[1] in (b"200", b"408"), head
    writer.close()


async def by_cancel(url: httpx.URL, name: str, chance: random.Random) -> None:
    """Cancel a call by handle at some moment."""
    response = serve.get_app_handle("default").remote(name)
    await asyncio.sleep(chance.uniform(0, LONGEST))
    response.cancel()


@pytest.mark.parametrize("way", [by_leaving, by_timeout, by_cancel])
async def test_what_has_started_ends(http: httpx.Client, way: Any) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    last = Stage.options(name="C", max_ongoing_requests=REQUESTS // 2)  # the other half waits in the second's router
    app = Stage.options(name="A").bind(Stage.options(name="B").bind(last.bind()))
    await asyncio.to_thread(serve.run, app)
    for round_ in range(ROUNDS):
        asks = [way(http.base_url, f"{round_}-{number}", chance) for number in range(REQUESTS)]
        await asyncio.gather(*asks)
        await asyncio.to_thread(wait_until, all_ended)
        await asyncio.to_thread(wait_until, lambda: ongoing() == 0)
    first, second, third = await asyncio.to_thread(all_seen)
    assert not first[2] & second[1] and not second[2] & third[1]
    assert first[0]["cancelled"] > 0
    async with httpx.AsyncClient(base_url=http.base_url, timeout=60) as client:
        answers = await asyncio.gather(*(client.get("/", params={"name": f"last-{n}"}) for n in range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
