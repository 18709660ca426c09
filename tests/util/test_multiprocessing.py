import multiprocessing
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async
from ray_async.util.multiprocessing import Pool, TimeoutError


@pytest.fixture
def gate(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    monkeypatch.setattr(ray_async, "is_initialized", lambda: True, raising=False)
    monkeypatch.setattr(ray_async, "cluster_resources", lambda: {"CPU": 4.0}, raising=False)
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def pool(gate: threading.Event) -> Pool:
    return Pool(2)


def divide(a: int, b: int = 2) -> float:
    return a / b


def unexpected(value: Any) -> None:
    raise AssertionError(value)


def test_the_number_of_processes(gate: threading.Event) -> None:
    assert len(Pool()._workers) == 4
    for processes in (0, -1, 5):
        with pytest.raises(ValueError):
            Pool(processes)


def test_apply(pool: Pool) -> None:
    assert pool.apply(divide, (6,), {"b": 3}) == 2
    with pytest.raises(ZeroDivisionError):
        pool.apply(divide, (1, 0))


@pytest.mark.parametrize("chunksize", [None, 1, 3])
def test_maps_keep_the_order(pool: Pool, chunksize: int | None) -> None:
    assert pool.map(str, range(10), chunksize) == [str(i) for i in range(10)]
    assert pool.starmap(divide, [(4, 2), (9, 3)], chunksize) == [2, 3]
    assert list(pool.imap(str, range(10), chunksize)) == [str(i) for i in range(10)]
    assert sorted(pool.imap_unordered(abs, range(10), chunksize)) == list(range(10))
    assert pool.map(str, []) == []


def test_an_error_in_the_middle_of_imap(pool: Pool) -> None:
    results = pool.imap(lambda b: 6 / b, [1, 0, 2])
    assert next(results) == 6
    assert isinstance(next(results), ZeroDivisionError)
    assert next(results) == 3
    with pytest.raises(StopIteration):
        next(results)


def test_imap_takes_items_as_results_are_taken(pool: Pool) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = pool.imap(abs, items())
    assert len(taken) == 4
    next(results)
    assert len(taken) == 5


def test_waiting(pool: Pool, gate: threading.Event) -> None:
    result = pool.apply_async(gate.wait, (30,))
    iterator = pool.imap(gate.wait, [30])
    assert not result.ready()
    with pytest.raises(ValueError, match="not ready"):
        result.successful()
    with pytest.raises(TimeoutError):
        result.get(timeout=0)
    with pytest.raises(TimeoutError):
        iterator.next(timeout=0)
    assert TimeoutError is multiprocessing.TimeoutError
    gate.set()
    assert result.get(timeout=30) is True
    assert result.successful()
    assert iterator.next(timeout=30) is True


def test_callbacks(pool: Pool) -> None:
    called = threading.Event()
    seen: list[Any] = []

    def note(value: Any) -> None:
        seen.append(value)
        called.set()

    pool.map_async(abs, [-1, -2], callback=note, error_callback=unexpected)
    assert called.wait(30)
    called.clear()
    failed = pool.apply_async(divide, (1, 0), callback=unexpected, error_callback=note)
    assert called.wait(30)
    assert not failed.successful()
    assert seen[0] == [1, 2]
    assert isinstance(seen[1], ZeroDivisionError)


def test_the_initializer_runs_in_each_worker(gate: threading.Event) -> None:
    seen: list[str] = []
    Pool(3, initializer=seen.append, initargs=["x"])
    assert seen == ["x"] * 3


def test_workers_are_replaced(gate: threading.Event, engine: Any) -> None:
    pool = Pool(1, maxtasksperchild=2)
    assert [pool.apply(os.getpid) for _ in range(5)] == [os.getpid()] * 5
    assert len(engine.handles) == 3


def test_closing(pool: Pool) -> None:
    with pytest.raises(ValueError, match="still running"):
        pool.join()
    result = pool.map_async(abs, range(10))
    pool.close()
    with pytest.raises(ValueError, match="not running"):
        pool.apply(abs, (1,))
    pool.join()
    pool.join()
    assert result.get() == list(range(10))


def test_leaving_the_block_terminates(pool: Pool) -> None:
    with pool as entered:
        assert entered.apply(abs, (-1,)) == 1
    with pytest.raises(ValueError, match="not running"):
        pool.map(abs, [1])
