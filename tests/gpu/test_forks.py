"""Processes that fork: a child uses no GPU, and takes nothing from its parent."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")


def in_a_child(action: Callable[[], Any]) -> str:
    """What an action raises in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
            text = "nothing"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@ray.remote
class Forking:
    """An actor whose code forks."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def take(self, value: Any) -> None:
        """Keep it."""
        self.kept.append(value)

    def drop_in_a_child(self) -> str:
        """Drop what is kept, in a child alone."""
        return in_a_child(self.kept.clear)

    def use_in_a_child(self) -> str:
        """Use the device."""
        return in_a_child(lambda: fake.zeros(3))

    def hand_over_in_a_child(self) -> str:
        """Hand an array over."""
        return in_a_child(lambda: ray.put(self.kept[0]))

    def read(self) -> Any:
        """The values of what is kept."""
        return self.kept[0].get()

    def drop(self) -> None:
        """Keep nothing."""
        self.kept.clear()


def test_a_child_has_none_of_its_parents_arrays(wait_until: Callable[..., None]) -> None:
    actor, owner = Forking.remote(), Holder.remote()
    ray.get(actor.take.remote(owner.make.remote(np.arange(3.0))))
    assert "had initialised" in ray.get(actor.use_in_a_child.remote())
    assert "nothing" not in ray.get(actor.hand_over_in_a_child.remote())
    assert ray.get(actor.drop_in_a_child.remote()) == "nothing"
    assert ray.get(owner.state.remote())["bytes"] == 24
    assert ray.get(actor.read.remote()).tolist() == [0, 1, 2]
    ray.get(actor.drop.remote())
    wait_until(lambda: all_free(owner))


def test_a_child_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray_async.gpu.agent import agent_of

    agent = agent_of("fake")
    monkeypatch.setattr(agent, "pid", agent.pid + 1)
    with pytest.raises(RuntimeError, match=r"forked from one that used a GPU.*start it as a task"):
        agent_of("fake")


def test_workers_come_from_an_interpreter_that_has_no_gpu() -> None:
    fake.zeros(3)  # the driver has initialised its device

    @ray.remote
    def use() -> list[float]:
        made: list[float] = fake.array([1.0]).get().tolist()
        return made

    assert ray.get([use.remote() for _ in range(4)]) == [[1.0]] * 4
