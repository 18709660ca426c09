"""Arrays that come back to their owner, and arrays that go on to a third process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")


def test_back_to_its_owner(wait_until: Callable[..., None]) -> None:
    owner, other = Holder.remote(), Holder.remote()
    ref = owner.make_and_keep.remote("x", np.arange(4.0))
    ray.get(other.take.remote("x", ref))
    address = ray.get(owner.take.remote("own", ref))
    assert ray.get(owner.take.remote("back", other.give.remote("x"))) == address
    assert ray.get(owner.take.remote("part", other.give.remote("x", slice(1, 3)))) == address + 8
    assert "open_base" not in ray.get(owner.counts.remote())
    assert ray.get(owner.read.remote("part")).tolist() == [1, 2]
    ray.get([owner.drop.remote(name) for name in ("x", "own", "back", "part")])
    assert ray.get(other.read.remote("x")).tolist() == [0, 1, 2, 3]
    ray.get(other.drop.remote("x"))
    del ref
    wait_until(lambda: all_free(owner, other))


@pytest.mark.parametrize("end", ["keeps", "drops", "is killed"])
def test_on_to_a_third(end: str, wait_until: Callable[..., None]) -> None:
    owner, middle, last = (Holder.remote() for _ in range(3))
    ray.get(middle.take.remote("x", owner.make.remote(np.arange(8.0))))
    assert ray.get(owner.state.remote())["bytes"] == 64
    ray.get(middle.write.remote("x", 2))
    ray.get(last.take.remote("x", middle.give.remote("x", slice(2, 5))))
    ends = []
    if end == "drops":
        ray.get(middle.drop.remote("x"))
    elif end == "is killed":
        os.kill(ray.get(middle.pid.remote()), signal.SIGKILL)
        ends = [middle]
    assert ray.get(last.read.remote("x")).tolist() == [2] * 3
    assert ray.get(owner.state.remote())["bytes"] == 64
    ray.get(last.drop.remote("x"))
    if end == "keeps":
        ray.get(middle.drop.remote("x"))
    wait_until(lambda: all_free(*({owner, middle, last} - set(ends))))


def test_the_driver_in_the_middle(wait_until: Callable[..., None]) -> None:
    owner, last = Holder.remote(), Holder.remote()
    mine = ray.get(owner.make.remote(np.arange(8.0)))
    ray.get(last.take_by.remote("x", [ray.put(mine[4:])]))
    assert fake.counts()["open_base"] == 1
    del mine
    assert ray.get(last.read.remote("x")).tolist() == [4, 5, 6, 7]
    ray.get(last.drop.remote("x"))
    wait_until(lambda: all_free(owner, last))


def test_a_reference_in_a_container_outlives_who_put_it_there(wait_until: Callable[..., None]) -> None:
    owner, middle, last = (Holder.remote() for _ in range(3))
    ray.get(middle.take.remote("x", owner.make.remote(np.arange(3.0))))
    refs = ray.get(middle.put.remote("x"))
    ray.get(middle.drop.remote("x"))
    ray.get(last.take_by.remote("x", refs))
    del refs
    assert ray.get(last.read.remote("x")).tolist() == [0, 1, 2]
    ray.get(last.drop.remote("x"))
    wait_until(lambda: all_free(owner, middle, last))


def test_what_a_killed_process_had_not_finished_is_an_error() -> None:
    owner, middle = Holder.remote(), Holder.remote()
    ray.get(middle.take.remote("x", owner.make.remote(np.zeros(4))))
    ref = middle.fill_later.remote("x", 1)
    ray.wait([ref])
    pid = ray.get(middle.pid.remote())
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(middle.pid.remote())
    with pytest.raises(ray.exceptions.DeviceMemoryLostError, match=f"process {pid} has ended before"):
        ray.get(ref)
