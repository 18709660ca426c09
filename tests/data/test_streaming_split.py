"""Datasets divided among consumers while they run."""

import asyncio
import logging
import os
import threading
from typing import Any

import pytest

import ray_async as ray
from ray_async.data.block.bundle import Piece, RowBundle
from ray_async.data.context import DataContext
from ray_async.data.iteration import split_coordinator
from ray_async.data.iteration.split_coordinator import SplitCoordinator
from ray_async.data.iteration.split_queue import SplitQueue

pytestmark = pytest.mark.usefixtures("session")


def ids(iterator: Any, **options: Any) -> list[int]:
    return [int(value) for batch in iterator.iter_batches(**options) for value in batch["id"]]


@ray.remote
class Consumer:
    def __init__(self, iterator: Any) -> None:
        self.iterator = iterator
        self.batches: Any = None

    def epoch(self) -> list[int]:
        return ids(self.iterator)

    def read(self, batches: int) -> int:
        self.batches = self.batches or self.iterator.iter_batches(batch_size=10)
        for _ in range(batches):
            next(self.batches)
        return os.getpid()

    def rest(self) -> int:
        return sum(len(batch["id"]) for batch in self.batches)


@pytest.mark.parametrize("equal", [False, True])
def test_all_rows_are_divided_in_every_epoch(equal: bool) -> None:
    dataset = ray.data.range(100, override_num_blocks=10).map(lambda row: row)
    consumers = [Consumer.options(num_cpus=0).remote(part) for part in dataset.streaming_split(2, equal=equal)]
    for _ in range(2):
        one, other = ray.get([consumer.epoch.remote() for consumer in consumers])
        assert sorted(one + other) == list(range(100))
        assert not equal or len(one) == len(other)


def test_rows_that_are_over_are_left_out_of_equal_parts() -> None:
    parts = ray.data.range(11).streaming_split(2, equal=True)
    found: list[list[int]] = [[], []]
    threads = [threading.Thread(target=lambda i=i: found[i].extend(ids(parts[i]))) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(part) for part in found] == [5, 5]


def test_a_slow_consumer_gets_its_rows_after_the_fast_one_has_finished() -> None:
    dataset = ray.data.range(1000, override_num_blocks=20)
    slow, fast = (Consumer.options(num_cpus=0).remote(part) for part in dataset.streaming_split(2, equal=True))
    begun = slow.read.remote(8)
    assert len(ray.get(fast.epoch.remote())) == 500
    ray.get(begun)
    assert ray.get(slow.rest.remote()) == 500 - 80


def test_a_consumer_that_pauses_does_not_stop_the_other() -> None:
    dataset = ray.data.range(100, override_num_blocks=20)
    slow, fast = (Consumer.options(num_cpus=0).remote(part) for part in dataset.streaming_split(2))
    begun = slow.read.remote(1)
    assert len(ray.get(fast.epoch.remote(), timeout=60)) >= 70
    ray.get(begun)


class Told(logging.Handler):
    """Keeps what is logged for a coroutine."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.put_nowait(record.getMessage())


async def test_who_waits_for_whom_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_coordinator, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(split_coordinator, "WAITING_BYTES", 3)
    monkeypatch.setattr(SplitCoordinator, "_watch", lambda self, part, pid: None)
    told, logger = Told(), logging.getLogger("ray_async.data")
    logger.addHandler(told)
    coordinator = SplitCoordinator(ray.data.range(2)._node, DataContext(), 3, False)
    try:
        async with asyncio.TaskGroup() as group:
            for part in range(2):
                group.create_task(coordinator.start_epoch(part, 0))
            lacking = "waits for the next epoch, which splits [2] have not asked for yet"
            while await told.messages.get() != f"split 1 {lacking}":
                pass
            await coordinator.start_epoch(2, 0)
        coordinator._queue.put(RowBundle((Piece("x", 0, 4, 4),)), 2)
        pulling = asyncio.create_task(coordinator._pull(0))
        while await told.messages.get() != "split 0 waits for split 2, which is slower":
            pass
        pulling.cancel()
        await coordinator._close()
    finally:
        logger.removeHandler(told)


def test_the_death_of_a_consumer_is_an_error_for_the_others() -> None:
    dataset = ray.data.range(1000, override_num_blocks=40)
    consumers = [Consumer.options(num_cpus=0).remote(part) for part in dataset.streaming_split(2, equal=True)]
    _, pid = ray.get([consumer.read.remote(3) for consumer in consumers])
    os.kill(pid, 9)
    with pytest.raises(RuntimeError, match="split 1"):
        ray.get(consumers[0].rest.remote(), timeout=60)
        ray.get(consumers[0].epoch.remote(), timeout=60)


def test_queues_without_io() -> None:
    queue = SplitQueue(3, equal=True)
    for rows in (4, 1, 3):
        queue.put(RowBundle((Piece("x", 0, rows, rows),)), 0)
    sizes = []
    for part in range(3):
        total = 0
        while (bundle := queue.take(part)) is not None:
            total += bundle.rows
        sizes.append(total)
    assert sizes == [2, 2, 2] and queue.slowest(0) is None
