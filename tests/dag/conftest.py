"""One session for each module of tests, and the actors that they are about."""

from collections.abc import Iterator

import pytest

import ray_async as ray


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """A node with eight CPUs."""
    ray.init(num_cpus=8, log_to_driver=False)
    yield
    ray.shutdown()
