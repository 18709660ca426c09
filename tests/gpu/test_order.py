"""Each hand-over has its own point in time, and nobody reads before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from ray_async.gpu.agent import agent_of
from ray_async.gpu.points import PointReader, Points
from tests.gpu.roles import Holder

pytestmark = pytest.mark.usefixtures("session")


def writes_once_read_is_asked_for(stream: fake.Stream, read: Callable[[], Any]) -> Any:
    """What a read finds that begins while the writer's stream stands still."""
    found: list[Any] = []
    reading = threading.Thread(target=lambda: found.append(read()))
    reading.start()
    try:
        reading.join(0.05)  # time to go wrong
        assert not found
    finally:
        stream.let_go()
        reading.join()
    return found[0]


@pytest.mark.parametrize("nth", [1, 100])
def test_the_first_and_the_hundredth_hand_over_wait_for_the_last_write(nth: int) -> None:
    mine, actor = fake.zeros(8), Holder.remote()
    for _ in range(nth - 1):
        ray.get(actor.take.remote("x", mine))
    stream = fake.current_stream()
    stream.hold()
    mine.fill(nth)
    ref = actor.sum_of.remote(mine)
    assert writes_once_read_is_asked_for(stream, lambda: ray.get(ref)) == 8 * nth
    assert ray.get(actor.counts.remote())["open_base"] == 1
    assert "synchronize_device" not in {**fake.counts(), **ray.get(actor.counts.remote())}


def test_a_reader_without_the_wait_sees_what_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake is strict: were the wait left out, the tests above would fail."""
    actor = Holder.remote()
    ray.get(actor.make_and_keep.remote("x", np.zeros(4)))
    monkeypatch.setattr(PointReader, "is_done", lambda self, point: True)
    late = ray.get(actor.fill_later.remote("x", 1))
    assert late.get().tolist() == [0] * 4
    monkeypatch.undo()
    again = ray.get(actor.give.remote("x"))
    ray.get(actor.let_go.remote())
    assert again.get().tolist() == [1] * 4


def test_streams_of_the_programs_own() -> None:
    mine, actor = fake.zeros(8), Holder.remote()
    left, right = fake.Stream(), fake.Stream()
    for stream in (left, right):
        stream.hold()
    mine[:4].fill(1, left)
    mine[4:].fill(2, right)
    with left:
        first = actor.values_of.remote(mine[:4])
    with right:
        second = actor.values_of.remote(mine[4:])
    left.let_go()
    assert ray.get(first).tolist() == [1] * 4
    assert writes_once_read_is_asked_for(right, lambda: ray.get(second)).tolist() == [2] * 4


def test_arriving_in_a_stream_orders_that_stream_alone() -> None:
    actor = Holder.remote()
    ray.get(actor.make_and_keep.remote("x", np.zeros(4)))
    other = fake.zeros(1)
    with fake.Stream() as mine:
        late = ray.get(actor.fill_later.remote("x", 3))
        assert other.get(fake.Stream()).tolist() == [0]  # which waits for nothing
        found: list[Any] = []
        reading = threading.Thread(target=lambda: found.append(late.get(mine).tolist()))
        reading.start()
    ray.get(actor.let_go.remote())
    reading.join()
    assert found == [[3] * 4]


async def test_the_loop_goes_on_while_a_device_waits() -> None:
    actor = Holder.remote()
    await actor.make_and_keep.remote("x", np.zeros(4))
    late = await actor.fill_later.remote("x", 5)
    await actor.let_go.remote()  # was the loop blocked, this would never be sent
    assert late.get().tolist() == [5] * 4


def test_events_are_few_and_used_again(wait_until: Callable[..., None]) -> None:
    mine, actor = fake.zeros(8), Holder.remote()
    for _ in range(300):
        ray.get(actor.sum_of.remote(mine))
    points = agent_of("fake").points
    wait_until(lambda: points.counts()[1] == 0)
    assert points.counts()[0] < 300


def test_without_an_event_left_the_hand_over_waits_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Points, "_take", lambda self, device: None)
    mine, actor = fake.zeros(8), Holder.remote()
    stream = fake.current_stream()
    stream.hold()
    mine.fill(1)
    assert writes_once_read_is_asked_for(stream, lambda: ray.get(actor.sum_of.remote(mine))) == 8
