"""Calls of actors that are run again, and what waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


class Flaky:
    def __init__(self) -> None:
        self.turns = 0

    @ray.method(max_task_retries=3, retry_exceptions=[OSError])
    def second_time(self, ready: int) -> int:
        self.turns += 1
        if self.turns <= 3:
            raise OSError("not yet")
        return ready

    def after(self, value: int) -> int:
        return value + 1


@ray.remote
def one() -> int:
    return 1


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_a_call_that_waits_for_one_that_is_run_again(max_concurrency: int) -> None:
    actor: Any = ray.remote(Flaky).options(max_concurrency=max_concurrency).remote()
    first = actor.second_time.remote(one.remote())
    assert ray.get([first, actor.after.remote(first), actor.after.remote(7)], timeout=TIMEOUT_S) == [1, 2, 8]
