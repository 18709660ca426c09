import threading
from typing import Any

import pytest

import ray_async as ray
from ray_async.util.completion import as_completed, map_unordered

pytestmark = pytest.mark.usefixtures("engine")


def wait_for(item: tuple[int, threading.Event]) -> int:
    value, gate = item
    gate.wait(30)
    return value


@pytest.mark.parametrize("yield_obj_refs", [False, True])
@pytest.mark.parametrize("unordered", [as_completed, map_unordered])
def test_ready_ones_come_first(unordered: Any, yield_obj_refs: bool) -> None:
    items = [(value, threading.Event()) for value in (10, 8, 6, 4)]
    task = ray.remote(wait_for)
    if unordered is as_completed:
        results = as_completed([task.remote(item) for item in items], chunk_size=1, yield_obj_refs=yield_obj_refs)
    else:
        results = map_unordered(task, items, chunk_size=1, yield_obj_refs=yield_obj_refs)
    seen = []
    for _, gate in reversed(items):
        gate.set()
        seen.append(next(results))
    assert (ray.get(seen) if yield_obj_refs else seen) == [4, 6, 8, 10]
    assert next(results, None) is None


def test_backpressure_bounds_the_tasks_in_flight() -> None:
    started = []

    class Source:
        def remote(self, item: int) -> Any:
            started.append(item)
            return ray.remote(lambda: item).remote()

    results = map_unordered(Source(), iter(range(10)), backpressure_size=2, chunk_size=1)
    next(results)
    assert started == [0, 1]
    assert sorted(results) == list(range(1, 10)) or len(started) == 10


def test_no_backpressure_starts_everything() -> None:
    results = map_unordered(ray.remote(lambda item: item + 1), range(20), backpressure_size=None)
    assert sorted(results) == list(range(1, 21))


@pytest.mark.parametrize(
    "options", [{"chunk_size": 0}, {"num_returns": 1}, {"backpressure_size": 0}, {"backpressure_size": -1}]
)
def test_bad_options_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        map_unordered(ray.remote(lambda item: item), [], **options)


def test_as_completed_refuses_bad_options_at_once() -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        as_completed([], chunk_size=0)
    with pytest.raises(ValueError, match="num_returns"):
        as_completed([], num_returns=2)
