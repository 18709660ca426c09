"""One session for each module of tests, with Serve on a free port; each test's applications go with the test."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
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
