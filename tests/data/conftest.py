"""One session for each module of tests that asks for it."""

from collections.abc import Iterator

import pytest

import ray_async as ray


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    """A node with two CPUs."""
    ray.init(num_cpus=2, log_to_driver=False, preload=["pyarrow"])
    yield
    ray.shutdown()
