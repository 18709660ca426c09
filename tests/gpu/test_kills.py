"""Processes that are killed at any moment of a hand-over."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder, all_free, state_of

pytestmark = pytest.mark.usefixtures("session")
ROUNDS = 12
DIED = (ray.exceptions.ActorDiedError, ray.exceptions.DeviceMemoryLostError, ray.exceptions.RayActorError)


def kill_soon(actor: Any, dice: random.Random) -> threading.Timer:
    """Kill an actor's process some milliseconds from now."""
    pid = ray.get(actor.pid.remote())
    timer = threading.Timer(dice.random() * 0.02, os.kill, (pid, signal.SIGKILL))
    timer.start()
    return timer


def until_killed(action: Callable[[], Any]) -> BaseException:
    """Do something again and again, until the other side's death is told."""
    while True:
        try:
            action()
        except DIED as error:
            return error


def test_importers(dice: random.Random, wait_until: Callable[..., None]) -> None:
    pools = [fake.FakePool()]
    for n in range(ROUNDS):
        actor = Holder.remote()
        timer = kill_soon(actor, dice)

        def send(actor: Any = actor, n: int = n) -> None:
            mine = fake.array(np.full(5, float(n)), pool=pools[0] if n % 2 else None)
            assert ray.get(actor.sum_of.remote([mine, mine[1:3]][n % 2])) == (2 * n if n % 2 else 5 * n)
            actor.take.remote("kept", mine)

        until_killed(send)
        timer.join()
    pools.clear()
    gc.collect()
    wait_until(all_free)


def test_exporters(dice: random.Random, wait_until: Callable[..., None]) -> None:
    kept: list[Any] = []
    for n in range(ROUNDS):
        actor = Holder.remote()
        timer = kill_soon(actor, dice)

        def fetch(actor: Any = actor, n: int = n) -> None:
            ref = actor.make.remote(np.full(5, float(n)))
            theirs = ray.get(ref)
            assert theirs.get().tolist() in ([n] * 5, [0] * 5)  # what a killed process had not written is undefined
            kept.append(ref)

        until_killed(fetch)
        timer.join()
        for ref in kept:
            with pytest.raises(ray.exceptions.DeviceMemoryLostError):
                ray.get(ref)
        kept.clear()
    gc.collect()
    wait_until(lambda: state_of() == {"bytes": 0, "open": 0})


def test_those_in_the_middle(dice: random.Random, wait_until: Callable[..., None]) -> None:
    owner = Holder.remote()
    for _ in range(ROUNDS):
        middle = Holder.remote()
        timer = kill_soon(middle, dice)

        def pass_on(middle: Any = middle) -> None:
            ray.get(middle.take.remote("x", owner.make.remote(np.arange(4.0))))
            theirs = ray.get(middle.give.remote("x", slice(1, 3)))
            assert theirs.get().tolist() == [1, 2]

        until_killed(pass_on)
        timer.join()
    gc.collect()
    wait_until(lambda: all_free(owner))
