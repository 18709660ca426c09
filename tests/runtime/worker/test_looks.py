"""Looks for the next call before an actor's loop sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import ray_async as ray
from ray_async.runtime.worker.hosts.async_host import AsyncHost

TIMEOUT_S = 60


class Looking:
    """Notes how many calls run whenever its loop looks for the next one."""

    def __init__(self) -> None:
        self.calls_at_looks: set[int] = set()
        look = AsyncHost._looks_in_time

        def noted(host: AsyncHost) -> bool:
            self.calls_at_looks.add(len(host._tasks))
            return look(host)

        setattr(AsyncHost, "_looks_in_time", noted)  # noqa: B010 - in this process alone

    async def live(self) -> None:
        await asyncio.Event().wait()

    async def seen(self) -> set[int]:
        return self.calls_at_looks


def test_a_call_that_lasts_as_long_as_its_actor_keeps_no_loop_from_looking(
    wait_until: Callable[[Callable[[], bool]], None],
) -> None:
    with ray.init(num_cpus=1):
        actor = ray.remote(Looking).options(num_cpus=0, max_concurrency=10).remote()
        assert 1 not in ray.get(actor.seen.remote(), timeout=TIMEOUT_S)
        lives = actor.live.remote()
        wait_until(lambda: 1 in ray.get(actor.seen.remote(), timeout=TIMEOUT_S))
        ray.kill(actor)
        del lives
