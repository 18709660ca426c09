"""One session for each module of tests."""

from collections.abc import Iterator

import pytest

import ray_async as ray


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """A node with four CPUs."""
    ray.init(num_cpus=4, log_to_driver=False)
    yield
    ray.shutdown()
