"""Threads that export, import and drop at once, with collections in the middle of everything."""

from __future__ import annotations

import faulthandler
import gc
import random
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu.fake import memory
from ray_async.gpu.fake.backend import FakeBackend
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")
THREADS, STEPS = 8, 40
STALL_S = 100


class Ring:
    """Garbage that only a collection finds, with an array in it."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.ring = self


def collecting(method: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the device in whose middle garbage is collected."""

    def call(*args: Any) -> Any:
        gc.collect(0)
        return method(*args)

    return call


def test_threads_and_collections(
    dice: random.Random, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., None]
) -> None:
    for name in ("locate", "export_base", "open_base", "close_base", "new_event", "record", "wait", "view"):
        monkeypatch.setattr(FakeBackend, name, collecting(getattr(FakeBackend, name)))
    actors = [Holder.remote() for _ in range(2)]
    shared = [ray.get(actors[0].make_and_keep.remote("shared", np.arange(64.0)))]
    failures: list[BaseException] = []

    def run(number: int) -> None:
        mine = random.Random(number)
        try:
            for n in range(STEPS):
                actor = actors[mine.randrange(2)]
                theirs = ray.get(actor.make.remote(np.full(3, float(n))))
                Ring(theirs[1:])
                assert ray.get(actor.sum_of.remote(theirs)) == 3 * n
                Ring(ray.get(ray.put(shared[0][mine.randrange(60) :])))
        except BaseException as error:
            failures.append(error)

    faulthandler.dump_traceback_later(STALL_S)
    try:
        threads = [threading.Thread(target=run, args=(dice.randrange(1 << 30),)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert failures == []
    shared.clear()
    ray.get(actors[0].drop.remote("shared"))
    gc.collect()
    wait_until(lambda: all_free(*actors))


def test_a_loan_that_dies_where_our_locks_are_held(wait_until: Callable[..., None]) -> None:
    """Its end takes none of them."""
    from ray_async.gpu.agent import agent_of

    actor = Holder.remote()
    theirs = ray.get(actor.make.remote(np.arange(4.0)))
    agent = agent_of("fake")
    with agent.imports._lock, agent.exports._lock, agent.points._lock, memory._memory.lock:
        del theirs
        gc.collect()
    wait_until(lambda: all_free(actor))
