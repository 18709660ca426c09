"""Counts of waiting and running requests: whatever way requests end, none of them is counted for ever."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.exceptions import RayActorError
from ray_async.serve.exceptions import BackPressureError, RequestCancelledError
from tests.serve.controller import replica_pids, replica_states
from tests.serve.preloaded import PRELOADED
from tests.serve.sizes import size
from tests.serve.test_metrics_page import scrape, value
from tests.serve.waiting import ongoing, wait_until

REQUESTS = size(36, 500)
CALLERS = 6
WORK = 0.01  # seconds


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0, metrics=True))
    yield
    serve.shutdown()
    ray.shutdown()


class Ends:
    """Ends requests in every way that a handler has."""

    def __init__(self, gate: Any) -> None:
        self.gate = gate

    async def __call__(self, request: Any = None) -> Any:
        kind = request.query_params.get("kind") if isinstance(request, Request) else request
        if kind == "held":
            await self.gate.wait.remote()
        if kind == "stream":
            return self.chunks()
        await asyncio.sleep(WORK)
        if kind == "fail":
            raise ValueError(kind)
        return "done"

    async def chunks(self) -> AsyncIterator[str]:
        for _ in range(20):
            yield "chunk"
            await asyncio.sleep(WORK / 10)


Bounded = serve.deployment(name="Bounded", max_ongoing_requests=1, max_queued_requests=3)(Ends)
SCALING = {"metrics_interval_s": 0.1, "look_back_period_s": 0.2, "upscale_delay_s": 0, "downscale_delay_s": 0}
Scaled = serve.deployment(
    name="Scaled",
    max_ongoing_requests=2,
    autoscaling_config=SCALING | {"min_replicas": 1, "max_replicas": 3, "target_ongoing_requests": 1},
)(Ends)


class Caller:
    """Makes requests that end in some way; `deadly` ones kill the replica as well."""

    def __init__(self, http: httpx.Client, handle: Any, prefix: str, deployment: str) -> None:
        self._url, self._handle, self._prefix, self._deployment = http.base_url, handle, prefix, deployment

    def _get(self, kind: str, headers: dict[str, str] | None = None) -> None:
        with contextlib.suppress(httpx.TransportError):  # its replica was killed
            httpx.get(f"{self._url}{self._prefix}?kind={kind}", headers=headers, timeout=60)

    def answer(self, chance: random.Random) -> None:
        self._get("answer")

    def error(self, chance: random.Random) -> None:
        self._get("fail")

    def whole_stream(self, chance: random.Random) -> None:
        self._get("stream")

    def timeout(self, chance: random.Random) -> None:
        self._get("answer", {"x-request-timeout-seconds": str(chance.uniform(0.001, 2 * WORK))})

    def left(self, chance: random.Random) -> None:
        """A client that leaves while its request waits, or runs, or within a stream."""
        kind = chance.choice(("answer", "stream"))
        with (
            contextlib.suppress(OSError),
            socket.create_connection((self._url.host, self._url.port), timeout=60) as one,
        ):
            one.sendall(f"GET {self._prefix}?kind={kind} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            one.settimeout(chance.uniform(0.001, 3 * WORK))
            one.recv(10)

    def cancelled(self, chance: random.Random) -> None:
        response = self._handle.remote("answer")
        threading.Event().wait(chance.uniform(0, 2 * WORK))
        response.cancel()
        with contextlib.suppress(RequestCancelledError, BackPressureError, RayActorError):
            response.result(timeout_s=60)

    def left_stream(self, chance: random.Random) -> None:
        stream = self._handle.options(stream=True).chunks.remote()
        with contextlib.suppress(BackPressureError, RayActorError, StopIteration, RequestCancelledError):
            next(stream)
        stream.cancel()

    def closed_loop(self, chance: random.Random) -> None:
        async def call() -> None:
            responses = [self._handle.remote("answer") for _ in range(2)]
            await asyncio.sleep(chance.uniform(0, WORK))
            assert responses

        asyncio.run(call())

    def killed(self, chance: random.Random) -> None:
        pids = list(replica_pids(self._deployment).values())
        if pids and chance.random() < 0.2:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(pids), signal.SIGKILL)


WAYS = ("answer", "error", "whole_stream", "timeout", "left", "cancelled", "left_stream", "closed_loop", "killed")


def end_in_all_ways(caller: Caller, chance: random.Random) -> None:
    ways = [getattr(caller, WAYS[number % len(WAYS)]) for number in range(REQUESTS)]
    chance.shuffle(ways)
    with ThreadPoolExecutor(CALLERS) as pool:
        runs: list[Any] = [pool.submit(way, random.Random(chance.random())) for way in ways]
        for run in runs:
            run.result()


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(10**9)
    print("seed", seed)
    return random.Random(seed)


def at_rest(http: httpx.Client, deployment: str) -> Callable[[], bool]:
    """Whether no count says that anything waits or runs: of callers, of replicas, and on the page of metrics."""

    seen: list[float] = []

    def look() -> bool:
        with httpx.Client(base_url=http.base_url, timeout=60) as client:
            try:
                found = scrape(client)
            except httpx.TransportError:  # of a replica that has just been killed
                return False
        names = ("serve_deployment_queued_queries", "serve_replica_processing_queries")
        numbers = [value(found, name, deployment=deployment) for name in names]
        numbers += [value(found, "serve_num_ongoing_http_requests"), ongoing()]
        if numbers != seen:
            seen[:] = numbers
            print("queued, processing, by HTTP, on the board:", numbers)
        return not any(numbers)

    return look


def test_no_count_is_left(http: httpx.Client, gate: Any, chance: random.Random) -> None:
    handle = serve.run(Bounded.bind(gate), route_prefix="/bounded")
    end_in_all_ways(Caller(http, handle, "/bounded", "Bounded"), chance)
    wait_until(lambda: replica_states() == {"Bounded": {"RUNNING": 1}})
    wait_until(at_rest(http, "Bounded"))
    # As many are admitted as ever: one that runs, and three that wait, of each caller.
    held = [handle.remote("held") for _ in range(4)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    with pytest.raises(BackPressureError):
        handle.remote("held").result()
    ray.get(gate.open.remote())
    assert [response.result() for response in held] == ["done"] * 4
    ray.get(gate.shut.remote())
    with ThreadPoolExecutor(5) as pool:
        asks = [pool.submit(httpx.get, f"{http.base_url}/bounded?kind=held", timeout=60) for _ in range(5)]
        wait_until(lambda: any(ask.done() for ask in asks))
        ray.get(gate.open.remote())
        assert sorted(ask.result().status_code for ask in asks) == [200] * 4 + [503]


def test_an_autoscaled_twin_comes_back(http: httpx.Client, gate: Any, chance: random.Random) -> None:
    handle = serve.run(Scaled.bind(gate), route_prefix="/scaled")
    end_in_all_ways(Caller(http, handle, "/scaled", "Scaled"), chance)
    wait_until(at_rest(http, "Scaled"))
    wait_until(lambda: replica_states() == {"Scaled": {"RUNNING": 1}})
    assert handle.remote("answer").result() == "done"
