from collections.abc import Callable
from typing import Any

import pytest

import ray_async as ray
from ray_async.util.actor_group import ActorGroup

pytestmark = pytest.mark.filterwarnings("ignore:ActorGroup is deprecated:DeprecationWarning")


class Counter:
    def __init__(self, start: int = 0, *, label: str = "") -> None:
        self.value, self.label = start, label

    def add(self, by: int) -> int:
        self.value += by
        return self.value

    def get_actor_metadata(self) -> str:
        return self.label


class Plain:
    def ping(self) -> str:
        return "pong"


def test_a_call_goes_to_every_actor() -> None:
    group = ActorGroup(Counter, num_actors=2, num_cpus_per_actor=0, init_args=(1,), init_kwargs={"label": "x"})
    assert ray.get(group.add.remote(2)) == [3, 3]
    assert group.actor_metadata == ["x", "x"]
    group.add_actors(1)
    assert ray.get(group.add.remote(by=1)) == [4, 4, 2]
    group.remove_actors([0])
    assert ray.get(group.add.remote(by=1)) == [5, 3]
    assert ray.get(group[1].actor.add.remote(0)) == 3
    group.shutdown()


def test_it_holds_resources_until_it_is_shut_down(wait_until: Callable[..., None]) -> None:
    group = ActorGroup(Plain, num_actors=2, num_cpus_per_actor=2)
    assert ray.get(group.ping.remote()) == ["pong"] * 2
    assert group.actor_metadata == [None, None]
    assert "CPU" not in ray.available_resources()
    group.shutdown()
    wait_until(lambda: ray.available_resources().get("CPU") == 4)
    with pytest.raises(RuntimeError, match="start"):
        group.ping.remote()
    group.start()
    with pytest.raises(RuntimeError, match="run already"):
        group.start()
    group.shutdown(patience_s=0)
    wait_until(lambda: ray.available_resources().get("CPU") == 4)


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="num_actors"):
        ActorGroup(Plain, num_actors=0)
    with pytest.raises(ValueError, match="negative"):
        ActorGroup(Plain, num_gpus_per_actor=-1)
    group: Any = ActorGroup(Plain, num_cpus_per_actor=0)
    with pytest.raises(TypeError, match=r"ping\.remote"):
        group.ping()
    with pytest.raises(AttributeError):
        group.nothing.remote()
    group.shutdown()


def test_it_says_what_to_use_instead() -> None:
    with pytest.warns(DeprecationWarning, match=r"ray\.util\.multiprocessing"):
        ActorGroup(Plain, num_cpus_per_actor=0).shutdown()
