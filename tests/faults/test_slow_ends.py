"""Actors whose hooks for the end do not return."""

import os
import time
from pathlib import Path
from typing import Any

import ray_async as ray
from tests.resources import wait_until


@ray.remote
class Slow:
    def __ray_shutdown__(self) -> None:
        time.sleep(1000)

    def pid(self) -> int:
        return os.getpid()


def test_an_actor_that_does_not_end_is_killed() -> None:
    config = {"actor_graceful_shutdown_timeout_ms": 200}
    with ray.init(num_cpus=1, object_store_memory=100 << 20, _system_config=config):
        actor: Any = Slow.remote()
        pid = ray.get(actor.pid.remote(), timeout=60)
        del actor
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
