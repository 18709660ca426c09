"""Local testing mode where there is nothing else: no session, no other process."""

import asyncio
import threading
from typing import Any

import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.local_testing.local_handle import LocalHandle
from tests.serve.waiting import wait_until


@serve.deployment
class Adder:
    def __call__(self, number: int) -> int:
        return number + 1


@serve.deployment
class Twice:
    def __init__(self, adder: Any) -> None:
        self.adder = adder

    async def __call__(self, number: int) -> int:
        result: int = await self.adder.remote(await self.adder.remote(number))
        return result


def test_nothing_is_started() -> None:
    threads = threading.active_count()
    handle = serve.run(Twice.bind(Adder.bind()), _local_testing_mode=True, logging_config={"log_level": "ERROR"})
    assert handle.remote(1).result() == 3
    assert not ray.is_initialized()
    serve.shutdown()
    wait_until(lambda: threading.active_count() <= threads)  # those of handlers and constructors end by themselves
    with pytest.raises(RayServeException, match="was deleted"):
        handle.remote(1)


def test_the_environment_may_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_FORCE_LOCAL_TESTING_MODE", "1")
    handle = serve.run(Adder.bind())
    assert (type(handle), handle.remote(1).result()) == (LocalHandle, 2)


def test_an_application_ends_with_its_last_handle() -> None:
    ended = threading.Event()

    @serve.deployment
    class Ending:
        def __call__(self) -> int:
            return 1

        async def __del__(self) -> None:
            ended.set()

    handle = serve.run(Ending.bind(), _local_testing_mode=True)
    assert handle.remote().result() == 1
    assert not ended.is_set()
    del handle
    assert ended.wait(30)


def test_there_are_no_references() -> None:
    handle = serve.run(Adder.bind(), _local_testing_mode=True)
    with pytest.raises(RuntimeError, match="not supported in local testing mode"):
        asyncio.run(handle.remote(1)._to_object_ref())
