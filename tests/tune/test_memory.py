"""A trial that is ended for want of memory fails by that name, and alone."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import OutOfMemoryError
from tests.tune.test_tuner import fit, only


@pytest.fixture
def short_of_memory() -> Iterator[None]:
    """A session whose monitor always finds that memory is short."""
    ray.init(num_cpus=2, log_to_driver=False, _system_config={"memory_usage_threshold": 0.0001})
    yield
    ray.shutdown()


@pytest.mark.usefixtures("short_of_memory")
def test_out_of_memory_is_told_as_such() -> None:
    def train(config: dict[str, Any]) -> None:
        threading.Event().wait()

    result = only(fit(train))
    assert isinstance(result.error, OutOfMemoryError) and "memory was short" in str(result.error)
