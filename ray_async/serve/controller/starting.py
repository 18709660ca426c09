"""The start of a replica's process: it may have to wait for resources of the node, and somebody must say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.room import has_process, wait_for_room
from ray_async.serve.controller.room_plan import room_plan
from ray_async.serve.placement import asked_resources

__all__ = ("wait_for_begin",)


async def wait_for_begin(replica: ReplicaHandle, start: asyncio.Future[None], say: Callable[[str], bool]) -> None:
    """Wait until a replica's process runs; one that has a room has its resources already.

    Args:
        replica: The replica.
        start: Its start, which may end before.
        say: Told once what the node lacks; returns whether to go on waiting.

    Raises:
        ResourceWarning: The node lacks what the replica asks for, and nobody waits for that.
    """
    if room_plan(replica.spec, replica.name, replica.gang) is not None:
        return
    options = replica.spec.options.ray_actor_options
    plain = {key: value for key, value in options.items() if value}
    what = f"A replica of deployment {replica.spec.name!r} cannot start: it asks for {plain}"
    await wait_for_room(
        asked_resources(options), lambda: replica.has_begun() or has_process(replica.name), start, say, what
    )
