import queue as stdlib_queue
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError
from ray_async.util.queue import Empty, Full, Queue

pytestmark = pytest.mark.usefixtures("engine")


def test_items_come_out_in_order() -> None:
    queue = Queue()
    for item in range(5):
        queue.put(item)
    assert (len(queue), queue.qsize(), queue.empty(), queue.full()) == (5, 5, False, False)
    assert [queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert queue.empty()


def test_none_is_an_item() -> None:
    queue = Queue()
    queue.put(None)
    assert queue.get_nowait() is None


def test_get_from_an_empty_queue() -> None:
    queue = Queue()
    for get in (queue.get_nowait, lambda: queue.get(timeout=0.01), lambda: queue.get(block=False)):
        with pytest.raises(Empty):
            get()
    with pytest.raises(stdlib_queue.Empty):
        queue.get_nowait()
    with pytest.raises(ValueError, match="negative"):
        queue.get(timeout=-1)


def test_put_into_a_full_queue() -> None:
    queue = Queue(1)
    queue.put("a")
    assert queue.full()
    for put in (queue.put_nowait, lambda item: queue.put(item, timeout=0.01)):
        with pytest.raises(Full):
            put("b")
    with pytest.raises(stdlib_queue.Full):
        queue.put_nowait("b")
    with pytest.raises(ValueError, match="negative"):
        queue.put("b", timeout=-1)
    assert queue.get() == "a"
    assert queue.empty()


async def test_async_forms() -> None:
    queue = Queue(1)
    await queue.put_async(1)
    with pytest.raises(Full):
        await queue.put_async(2, block=False)
    assert await queue.get_async(timeout=5) == 1
    with pytest.raises(Empty):
        await queue.get_async(block=False)
    with pytest.raises(ValueError, match="negative"):
        await queue.get_async(timeout=-1)


def test_a_waiting_get_receives_a_later_item() -> None:
    queue = Queue()
    waiting = queue.actor.get.remote()
    assert ray.wait([waiting], timeout=0)[0] == []
    queue.put("late")
    assert ray.get(waiting, timeout=30) == ("late",)


def test_batches_are_all_or_nothing() -> None:
    queue = Queue(3)
    queue.put(0)
    with pytest.raises(Full):
        queue.put_nowait_batch([1, 2, 3])
    assert queue.size() == 1
    queue.put_nowait_batch(iter([1, 2]))
    with pytest.raises(Empty):
        queue.get_nowait_batch(4)
    assert queue.get_nowait_batch(3) == [0, 1, 2]
    assert queue.get_nowait_batch(0) == []


@pytest.mark.parametrize(("count", "error"), [("2", TypeError), (1.5, TypeError), (-1, ValueError)])
def test_bad_batch_sizes(count: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Queue().get_nowait_batch(count)


def test_a_batch_must_be_iterable() -> None:
    with pytest.raises(TypeError):
        Queue().put_nowait_batch(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("force", [False, True])
def test_shutdown_ends_the_actor(force: bool) -> None:
    queue = Queue()
    actor = queue.actor
    queue.shutdown(force=force)
    assert queue.actor is None
    with pytest.raises(ActorDiedError):
        ray.get(actor.empty.remote())
    queue.shutdown()


def test_options_reach_the_actor() -> None:
    assert Queue().actor.options == {"num_cpus": 0}
    assert Queue(actor_options={"num_cpus": 1, "name": "q"}).actor.options == {"num_cpus": 1, "name": "q"}
