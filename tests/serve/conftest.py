"""One session for each module of tests, with Serve on a free port; each test's applications go with the test."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.ingress.front import Front
from ray_async.serve.ingress.listener import bind
from ray_async.serve.names import folder
from tests.serve.gate import Gate
from tests.serve.preloaded import PRELOADED


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with four CPUs and Serve."""
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0))
    yield
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def http(session: None) -> Iterator[httpx.Client]:
    """A client of Serve's HTTP address; the applications that a test has deployed are deleted after it."""
    with httpx.Client(base_url=f"http://{serve.status().http_address}", timeout=30) as client:
        yield client
    for name in serve.status().applications:
        serve.delete(name)


@pytest.fixture
def gate(session: None) -> Iterator[Any]:
    """A gate that tests hold requests at."""
    gate = ray.remote(Gate).options(num_cpus=0, max_concurrency=1000).remote()
    yield gate
    ray.kill(gate)


@pytest.fixture
def front(session: None) -> Iterator[httpx.Client]:
    """A client of a front in this process, which hands all requests over."""
    with asyncio.Runner() as runner, bind("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=runner.get_loop().run_forever)

        async def begin() -> Front:
            made = Front(listening, asdict(serve.HTTPOptions()), folder(), "other")
            made.want(True)
            return made

        made = runner.run(begin())
        thread.start()
        try:
            with httpx.Client(base_url="http://{}:{}".format(*listening.getsockname()), timeout=30) as client:
                yield client
        finally:
            asyncio.run_coroutine_threadsafe(made.close(), runner.get_loop()).result(60)
            runner.get_loop().call_soon_threadsafe(runner.get_loop().stop)
            thread.join()
