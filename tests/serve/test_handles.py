"""Calls by handle."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    RequestCancelledError,
)
from ray_async.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator
from tests.serve.controller import replica_pids
from tests.serve.gate import Gated
from tests.serve.waiting import wait_until


@serve.deployment(max_ongoing_requests=100)
class Kinds:
    def sync(self, value: Any) -> Any:
        return value

    async def coroutine(self, value: Any) -> Any:
        return value

    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)

    async def letters(self, text: str) -> AsyncIterator[str]:
        for letter in text:
            yield letter

    def fails(self) -> None:
        raise KeyError("absent")

    def _own(self) -> str:
        return "its own"


def test_calls_in_a_thread(http: httpx.Client) -> None:
    handle = serve.run(Kinds.bind())
    assert handle.sync.remote(1).result() == 1
    assert handle.coroutine.remote(value=[2]).result(timeout_s=30) == [2]
    assert list(handle.options(stream=True).numbers.remote(3)) == [0, 1, 2]
    assert list(handle.letters.options(stream=True).remote("ab")) == ["a", "b"]
    assert handle._own.remote().result() == "its own"
    response = handle.sync.remote(3)
    assert [response.result(), response.result()] == [3, 3]
    assert isinstance(handle, DeploymentHandle)
    assert handle.sync == handle.options(method_name="sync")
    assert len({handle, handle.options(), handle.sync, handle.options(stream=True)}) == 3
    assert isinstance(response, DeploymentResponse)
    assert isinstance(handle.options(stream=True).numbers.remote(3), DeploymentResponseGenerator)


async def test_calls_in_a_loop(http: httpx.Client) -> None:
    handle = await asyncio.to_thread(serve.run, Kinds.bind())
    assert await handle.sync.remote(1) == 1
    assert await asyncio.gather(*(handle.coroutine.remote(n) for n in range(50))) == list(range(50))
    assert [item async for item in handle.options(stream=True).letters.remote("xyz")] == ["x", "y", "z"]
    with pytest.raises(RuntimeError, match="await"):
        handle.sync.remote(1).result()


def test_a_response_stands_for_its_value(http: httpx.Client) -> None:
    handle = serve.run(Kinds.bind())
    first = handle.coroutine.remote("deep")
    second = handle.sync.remote(first)
    assert handle.coroutine.remote(value=second).result() == "deep"
    failed = handle.fails.remote()
    with pytest.raises(KeyError, match="absent"):
        handle.sync.remote(failed).result()


def test_errors(http: httpx.Client) -> None:
    handle = serve.run(Kinds.bind())
    with pytest.raises(KeyError, match="absent"):
        handle.fails.remote().result()
    with pytest.raises(RayServeException, match=r"nothing.*coroutine.*sync"):
        handle.nothing.remote().result()
    with pytest.raises(TypeError, match="stream=True"):
        handle.numbers.remote(1).result()
    with pytest.raises(TypeError, match="did not return a generator"):
        list(handle.options(stream=True).sync.remote(1))
    with pytest.raises(RayServeException, match="argument of its own"):
        handle.sync.remote([handle.sync.remote(1)]).result()


def test_unknown_deployment(http: httpx.Client) -> None:
    with pytest.raises(DeploymentUnavailableError, match="Nobody"):
        serve.get_deployment_handle("Nobody", "app").remote().result()
    with pytest.raises(RayServeException, match="app"):
        serve.get_app_handle("app")
    with pytest.raises(RayServeException, match="within a replica"):
        serve.get_deployment_handle("Nobody")


def test_no_more_at_a_time_than_allowed(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(num_replicas=2, max_ongoing_requests=2).bind(gate))
    responses = [handle.remote(n) for n in range(10)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 4)
    assert ray.get(gate.counts.remote())[0] == 4
    ray.get(gate.open.remote())
    assert [response.result() for response in responses] == list(range(10))


def test_another_limit_reaches_who_calls_already(http: httpx.Client, gate: Any) -> None:
    app = Gated.options(num_replicas=2, max_ongoing_requests=1)
    handle = serve.run(app.bind(gate))
    pids = replica_pids()
    responses = [handle.remote(n) for n in range(8)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 2)
    serve.run(app.options(max_ongoing_requests=3, max_queued_requests=2).bind(gate))
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 6)
    with pytest.raises(BackPressureError):
        handle.remote().result()
    ray.get(gate.open.remote())
    assert [response.result() for response in responses] == list(range(8))
    assert replica_pids() == pids


def test_back_pressure(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1, max_queued_requests=3).bind(gate))
    first = handle.remote()
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    others = [handle.remote() for _ in range(3)]
    with pytest.raises(BackPressureError, match="Gated"):
        handle.remote().result()
    ray.get(gate.open.remote())
    assert [response.result() for response in (first, *others)] == [None] * 4
    assert handle.remote(5).result() == 5


def test_cancel(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1).bind(gate))
    running, waiting = handle.remote(), handle.remote()
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    waiting.cancel()
    running.cancel()
    for response in (running, waiting):
        with pytest.raises(RequestCancelledError):
            response.result()
        assert response.cancelled()
    wait_until(lambda: ray.get(gate.counts.remote()) == (1, 1))
    ray.get(gate.open.remote())
    assert handle.remote(1).result() == 1


@serve.deployment(max_ongoing_requests=1000)
class Outer:
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __call__(self, request: Any = None) -> Any:
        return await self.inner.remote()

    async def middle(self) -> Any:
        return await self.inner.remote()

    def in_thread(self) -> Any:
        return self.inner.remote(7).result()


async def test_a_cancelled_await_cancels_all_stages(http: httpx.Client, gate: Any) -> None:
    app = Outer.options(name="One").bind(
        Outer.options(name="Two").bind(Gated.options(max_ongoing_requests=5).bind(gate))
    )
    handle = await asyncio.to_thread(serve.run, app)
    tasks = [asyncio.create_task(_await(handle)) for _ in range(9)]  # four of them wait for a slot of the last stage
    await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote())[0] == 5)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    # A call may begin while its own cancel is on its way through the stages; it does not go on.
    await asyncio.to_thread(wait_until, lambda: _all_cancelled(gate))
    await gate.open.remote()
    assert await handle.remote() is None
    entered, cancelled = await gate.counts.remote()
    assert entered == cancelled + 1


def _all_cancelled(gate: Any) -> bool:
    entered, cancelled = ray.get(gate.counts.remote())
    return bool(entered == cancelled)


def test_a_cancel_reaches_what_a_sync_handler_waits_for(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Outer.bind(Gated.bind(gate)))
    response = handle.in_thread.remote()
    wait_until(lambda: ray.get(gate.counts.remote()) == (1, 0))
    response.cancel()
    wait_until(lambda: ray.get(gate.counts.remote()) == (1, 1))
    ray.get(gate.open.remote())
    assert handle.in_thread.remote().result() == 7


async def _await(handle: Any) -> Any:
    return await handle.remote()


def test_a_sync_method_calls_another_deployment(http: httpx.Client, gate: Any) -> None:
    ray.get(gate.open.remote())
    handle = serve.run(Outer.bind(Gated.bind(gate)))
    assert handle.in_thread.remote().result() == 7


class Parts:
    """An object of a user's that has applications in it."""

    def __init__(self, kinds: Any, depth: int) -> None:
        self.itself = self
        self.kept = bytearray(b"x")
        self.kinds = {"kinds": [kinds]} if depth == 0 else Parts(kinds, depth - 1)


def test_applications_in_objects_stand_for_their_handles(http: httpx.Client) -> None:
    @serve.deployment
    class Uses:
        def __init__(self, parts: Any) -> None:
            self.handle = parts.kinds.kinds["kinds"][0]
            assert parts.kept == b"x"

        async def __call__(self) -> str:
            return str(await self.handle.sync.remote("a"))

    parts = Parts(Kinds.bind(), 1)
    kept = parts.kinds
    handle = serve.run(Uses.bind(parts), name="nested")
    assert handle.remote().result() == serve.get_deployment_handle("Kinds", "nested").sync.remote("a").result()
    assert parts.kinds is kept  # the user's own is as it was
    serve.delete("nested")


def test_shared_applications_are_deployed_once(http: httpx.Client) -> None:
    @serve.deployment
    class Both:
        def __init__(self, handles: dict[str, Any]) -> None:
            self.handles = handles

        async def __call__(self) -> tuple[str, int]:
            return self.handles["a"].deployment_name, await self.handles["b"][0].sync.remote(1)

    shared = Kinds.bind()
    handle = serve.run(Both.bind({"a": shared, "b": [shared], "c": Kinds.bind()}), name="both")
    assert handle.remote().result() == ("Kinds", 1)
    assert sorted(serve.status().applications["both"].deployments) == ["Both", "Kinds", "Kinds_1"]


def test_a_function(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment
    async def double(value: int) -> int:
        return 2 * value

    assert serve.run(double.bind()).remote(4).result() == 8


def test_contexts(http: httpx.Client) -> None:
    @serve.deployment
    class Context:
        async def __call__(self) -> tuple[str, str, str, bool]:
            context = serve.get_replica_context()
            return (
                context.app_name,
                context.deployment,
                serve.get_multiplexed_model_id(),
                context.servable_object is self,
            )

    handle = serve.run(Context.bind(), name="where")
    assert handle.options(multiplexed_model_id="m").remote().result() == ("where", "Context", "m", True)
    with pytest.raises(RayServeException, match="within a replica"):
        serve.get_replica_context()
