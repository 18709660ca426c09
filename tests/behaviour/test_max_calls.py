"""Tasks whose processes end after some calls."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

import ray_async as ray

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=1, object_store_memory=100 << 20):
        yield


@ray.remote(max_calls=2)
def twice() -> int:
    return os.getpid()


@ray.remote
def often() -> int:
    return os.getpid()


def test_a_process_ends_after_as_many_calls() -> None:
    pids = ray.get([twice.remote() for _ in range(20)], timeout=TIMEOUT_S)
    assert set(Counter(pids).values()) == {2}


def test_other_tasks_are_not_counted() -> None:
    assert len(set(ray.get([often.remote() for _ in range(20)], timeout=TIMEOUT_S))) == 1


def test_results_outlive_the_process() -> None:
    @ray.remote(max_calls=1)
    def make() -> bytes:
        return bytes(1 << 20)

    refs = [make.remote() for _ in range(5)]
    ray.get(refs, timeout=TIMEOUT_S)
    assert [len(value) for value in ray.get(refs, timeout=TIMEOUT_S)] == [1 << 20] * 5
