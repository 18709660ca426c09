"""What callers of a killed actor are told."""

from typing import Any

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError


@ray.remote
class Idle:
    def ready(self) -> bool:
        return True


def test_the_error_names_the_kill() -> None:
    actor = Idle.remote()
    assert ray.get(actor.ready.remote(), timeout=60)
    ray.kill(actor)
    with pytest.raises(ActorDiedError, match=r"The actor is dead because it was killed by `ray\.kill`"):
        ray.get(actor.ready.remote(), timeout=60)


@pytest.mark.parametrize("max_restarts", [0, 1])
def test_a_kill_before_the_creation_uses_up_a_restart(max_restarts: int) -> None:
    blocker: Any = Idle.options(num_cpus=4).remote()
    assert ray.get(blocker.ready.remote(), timeout=60)
    actor: Any = Idle.options(num_cpus=4, max_restarts=max_restarts, max_task_retries=-1).remote()
    ray.kill(actor, no_restart=False)
    ray.kill(blocker)
    if max_restarts:
        assert ray.get(actor.ready.remote(), timeout=60)
        ray.kill(actor, no_restart=False)
    with pytest.raises(ActorDiedError):
        while True:
            ray.get(actor.ready.remote(), timeout=60)


def test_a_kill_right_after_the_call_that_creates() -> None:
    for _ in range(20):
        ray.kill(Idle.options(num_cpus=4).remote())
    assert ray.get(Idle.options(num_cpus=4).remote().ready.remote(), timeout=60)
