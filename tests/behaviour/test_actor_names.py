"""Names of actors whose creation does not come about: they are free again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from tests.behaviour.test_settings import TIMEOUT_S
from tests.resources import wait_until


@pytest.fixture
def session() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


@ray.remote(num_cpus=0)
class Named:
    def __init__(self, value: Any = 1) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value


@ray.remote(max_retries=0)
def dies_with_the_name() -> None:
    """The process is killed once it has the name, before the actor is written."""
    from ray_async._core import submission

    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(submission, "submit_actor", die)  # noqa: B010  # the stub gives it a type
    Named.options(name="heir").remote()


def is_free(name: str) -> bool:
    try:
        actor = Named.options(name=name).remote()
    except ValueError:
        return False
    return bool(ray.get(actor.get.remote(), timeout=TIMEOUT_S) == 1)


def test_a_process_that_is_killed_leaves_its_name_to_others(session: None) -> None:
    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(dies_with_the_name.remote(), timeout=TIMEOUT_S)
    wait_until(lambda: is_free("heir"), TIMEOUT_S)


def test_a_creation_that_fails_leaves_its_name_to_the_next_try(session: None) -> None:
    with pytest.raises(TypeError):
        Named.options(name="again").remote(threading.Lock())
    actor = Named.options(name="again").remote(5)
    assert ray.get(actor.get.remote(), timeout=TIMEOUT_S) == 5
    assert ray.get_actor("again") == actor
    with pytest.raises(ValueError, match="already taken"):
        Named.options(name="again").remote()
