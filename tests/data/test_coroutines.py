"""Coroutines of users' functions: how many run at the same time, and what waits for what."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.data.operators.coroutines import Coroutines, new_runner

pytestmark = pytest.mark.usefixtures("session")


def as_it_is(error: BaseException) -> BaseException:
    return error


@pytest.mark.parametrize("method", ["map", "flat_map", "filter"])
def test_rows_of_a_call_follow_each_other_without_a_stop(method: str) -> None:
    """Row 8191 ends when row 8192 has begun."""

    class Met:
        def __init__(self) -> None:
            self.event = asyncio.Event()

        async def __call__(self, row: dict[str, Any]) -> Any:
            if row["id"] == 8192:
                self.event.set()
            if row["id"] == 8191:
                await asyncio.wait_for(self.event.wait(), 60)
            return [row] if method == "flat_map" else row

    rows = getattr(ray.data.range(9000, override_num_blocks=1), method)(Met, concurrency=1).take_all()
    assert [row["id"] for row in rows] == list(range(9000))


def test_no_more_run_at_once_than_may_and_a_slow_one_withholds_no_result_before_it() -> None:
    running: set[int] = set()
    most: list[int] = []
    taken = asyncio.Event()

    async def call(value: int) -> int:
        running.add(value)
        most.append(len(running))
        if value == 3:
            await taken.wait()
        await asyncio.sleep(0)
        running.discard(value)
        return value

    def consumed() -> Iterator[int]:
        for result in Coroutines(call, iter(range(20)), 4, as_it_is).results(runner):
            if result == 2:
                taken.set()
            yield result

    with new_runner() as runner:
        assert list(consumed()) == list(range(20))
    assert max(most) == 4


def test_values_are_taken_outside_of_the_loop_and_what_runs_ends_with_whoever_takes_results() -> None:
    ended: list[int] = []
    taken: list[int] = []

    async def call(value: int) -> int:
        try:
            await asyncio.sleep(3600 if value else 0)
        finally:
            ended.append(value)
        return value

    def values() -> Iterator[int]:
        for value in range(100):
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            taken.append(value)
            yield value

    with new_runner() as runner:
        results = Coroutines(call, values(), 8, as_it_is).results(runner)
        assert next(results) == 0
        results.close()
    assert sorted(ended) == list(range(len(ended))) and len(ended) == 9 and len(taken) == 10
