import threading
from typing import Any
from unittest.mock import MagicMock

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError
from ray_async.util.actor_pool import ActorPool


class Doubler:
    def double(self, value: int) -> int:
        if value < 0:
            raise LookupError(value)
        return 2 * value


class Gate:
    """Waits in its own thread until the test opens it."""

    def __init__(self, opened: threading.Event) -> None:
        self.opened = opened

    def wait(self, value: int) -> int:
        if value < 0:
            self.opened.wait(30)
        return value


def double(actor: Any, value: int) -> Any:
    return actor.double.remote(value)


@pytest.fixture
def pool(engine: Any) -> ActorPool[Any]:
    doubler = ray.remote(Doubler)
    return ActorPool([doubler.remote() for _ in range(3)])


@pytest.fixture
def gate(engine: Any) -> Any:
    gate = threading.Event()
    yield gate
    gate.set()


def test_map_keeps_the_order_of_values(pool: ActorPool[Any]) -> None:
    assert list(pool.map(double, range(7))) == [0, 2, 4, 6, 8, 10, 12]


def test_map_unordered_gives_every_result(pool: ActorPool[Any]) -> None:
    assert sorted(pool.map_unordered(double, range(7))) == [0, 2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("method", ["map", "map_unordered"])
def test_an_earlier_map_gives_no_results_of_a_later_one(pool: ActorPool[Any], method: str) -> None:
    earlier = getattr(pool, method)(double, [1, 1, 1])
    assert next(earlier) == 2
    later = getattr(pool, method)(double, [2, 2, 2])
    with pytest.raises(RuntimeError, match="another map"):
        next(earlier)
    assert list(later) == [4, 4, 4]
    done = pool.map(double, [1])
    assert next(done) == 2
    assert list(pool.map(double, [2])) == [4]
    assert list(done) == []


def test_map_submits_before_a_result_is_asked_for(pool: ActorPool[Any]) -> None:
    pool.submit = MagicMock()  # type: ignore[method-assign]
    pool.map(double, range(2))
    assert pool.submit.call_count == 2


def test_map_drops_earlier_results_without_waiting_for_them(gate: threading.Event) -> None:
    wait = lambda actor, value: actor.wait.remote(value)  # noqa: E731
    pool = ActorPool([ray.remote(Gate).remote(gate), ray.remote(Gate).remote(gate)])
    for value in range(5):
        pool.submit(wait, value)
    assert sorted(pool.map(wait, [10, 11])) == [10, 11]


def test_get_next_without_a_call_stops(pool: ActorPool[Any]) -> None:
    for take in (pool.get_next, pool.get_next_unordered):
        with pytest.raises(StopIteration, match="No more results to get"):
            take()


def test_a_timeout_leaves_the_call_unless_told_to_drop_it(gate: threading.Event) -> None:
    pool = ActorPool([ray.remote(Gate).remote(gate)])
    pool.submit(lambda actor, value: actor.wait.remote(value), -1)
    for take in (pool.get_next, pool.get_next_unordered):
        with pytest.raises(TimeoutError):
            take(timeout=0)
        assert pool.has_next()
    with pytest.raises(TimeoutError):
        pool.get_next(timeout=0, ignore_if_timedout=True)
    assert not pool.has_next()
    assert pool.has_free()


def test_ordered_after_unordered_is_refused(pool: ActorPool[Any], engine: Any) -> None:
    refs = {value: ray.remote(lambda v: v).remote(value) for value in (1, 2)}
    pool.submit(lambda actor, value: refs[value], 1)
    pool.submit(lambda actor, value: refs[value], 2)
    pool._take(pool._running[1])  # as get_next_unordered does when the second is ready first
    with pytest.raises(ValueError, match="get_next_unordered"):
        pool.get_next()


def test_multiple_returns(pool: ActorPool[Any]) -> None:
    pool.submit(lambda actor, value: [actor.double.remote(value), actor.double.remote(value + 1)], 1)
    assert pool.get_next() == [2, 4]


def test_an_error_gives_the_actor_back(pool: ActorPool[Any]) -> None:
    results = pool.map(double, [-1, 1, 2, 3])
    with pytest.raises(LookupError):
        next(results)
    assert sorted(pool.get_next() for _ in range(3)) == [2, 4, 6]
    assert len(pool._idle) == 3


def test_a_dead_actor_leaves_the_pool(engine: Any) -> None:
    actor = ray.remote(Doubler).remote()
    pool = ActorPool([actor])
    ray.kill(actor)
    pool.submit(double, 1)
    with pytest.raises(ActorDiedError):
        pool.get_next()
    assert pool.pop_idle() is None


def test_push_and_pop_idle(engine: Any) -> None:
    first, second = (ray.remote(Doubler).remote() for _ in range(2))
    pool = ActorPool([first])
    pool.submit(double, 1)
    pool.submit(double, 2)
    assert pool.pop_idle() is None
    with pytest.raises(ValueError, match="already belongs"):
        pool.push(first)
    assert len(pool._pending_submits) == 1
    pool.push(second)
    assert len(pool._pending_submits) == 0
    assert [pool.get_next(), pool.get_next()] == [2, 4]
    assert pool.pop_idle() is second
    assert pool.pop_idle() is first
    assert pool.pop_idle() is None
