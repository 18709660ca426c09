"""Calls of an actor that dies: those that it has not begun say so, and can be made again elsewhere."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError, ActorUnavailableError, RayActorError
from ray_async.exceptions.payload import from_payload, to_payload

TIMEOUT_S = 60


@ray.remote
class Waits:
    async def pid(self) -> int:
        return os.getpid()

    def sync_pid(self) -> int:
        return os.getpid()


@ray.remote
class Sync:
    def pid(self) -> int:
        return os.getpid()

    def end(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def failure(ref: Any) -> RayActorError:
    with pytest.raises(RayActorError) as caught:
        ray.get(ref, timeout=TIMEOUT_S)
    return caught.value


@pytest.mark.parametrize("cls", [Waits, Sync])
def test_queued_calls_have_not_begun(session: None, cls: Any) -> None:
    actor = cls.remote()
    pid = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    os.kill(pid, signal.SIGSTOP)
    queued = [actor.pid.remote() for _ in range(3)]
    os.kill(pid, signal.SIGKILL)
    assert [failure(ref).call_began for ref in queued] == [False] * 3
    later = failure(actor.pid.remote())
    assert isinstance(later, ActorDiedError)
    assert not later.call_began


def test_a_call_that_runs_has_begun(session: None) -> None:
    actor = Sync.remote()
    running, behind = actor.end.remote(), actor.pid.remote()
    assert failure(running).call_began
    assert isinstance(failure(behind), ActorDiedError)
    assert not failure(behind).call_began


@pytest.mark.parametrize("error", [ActorDiedError(), ActorUnavailableError("It restarts.", "ab")])
def test_the_mark_travels(error: RayActorError) -> None:
    for began in (True, False):
        error.call_began = began
        travelled = from_payload(to_payload(error))
        assert isinstance(travelled, RayActorError)
        assert travelled.call_began is began
