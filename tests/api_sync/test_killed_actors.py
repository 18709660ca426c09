"""What callers of a killed actor are told."""

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
