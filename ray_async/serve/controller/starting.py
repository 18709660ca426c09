"""The start of a replica's process: it may have to wait for resources of the node, and somebody must say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import ray_async as ray
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.resources import Lack, asked_resources, lack

__all__ = ("wait_for_begin",)

_LOOK = 0.5  # seconds between two looks at a replica that has not begun
_PATIENCE = 4.0  # seconds that a replica may wait for resources that others use before that is said


async def wait_for_begin(replica: ReplicaHandle, start: asyncio.Future[None], say: Callable[[str], bool]) -> None:
    """Wait until a replica's process runs.

    Args:
        replica: The replica.
        start: Its start, which may end before.
        say: Told once what the node lacks; returns whether to go on waiting.

    Raises:
        ResourceWarning: The node lacks what the replica asks for, and nobody waits for that.
    """
    created_at = time.monotonic()
    asked = asked_resources(replica.spec.options.ray_actor_options)
    said = False
    while asked and not replica.has_begun():
        done, _ = await asyncio.wait([start], timeout=_LOOK)
        if done or replica.has_begun():
            return
        total, free = await asyncio.to_thread(lambda: (ray.cluster_resources(), ray.available_resources()))
        lacking = lack(asked, total, free)
        patient = time.monotonic() - created_at < _PATIENCE
        if said or lacking is Lack.NOTHING or (lacking is Lack.FREE and patient):
            continue
        message = (
            f"A replica of deployment {replica.spec.name!r} cannot start: it asks for {_plain(replica.spec)}, and the "
            f"node has {_numbers(total)}, of which {_numbers(free)} are free."
        )
        if not say(message):
            raise ResourceWarning(message)
        said = True


def _plain(spec: DeploymentSpec) -> dict[str, object]:
    return {key: value for key, value in spec.options.ray_actor_options.items() if value}


def _numbers(resources: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in resources.items() if not key.startswith("node:") and "memory" not in key}
