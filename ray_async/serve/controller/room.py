"""Room: waiting until the node has room for what was asked of it, and saying what is lacking."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import ray_async as ray
from ray_async.serve.controller.resources import Lack, lack
from ray_async.util import state

__all__ = ("has_process", "wait_for_room")

_LOOK = 0.5  # seconds between two looks at what has not begun
_PATIENCE = 4.0  # seconds to wait for resources that others use before that is said


async def wait_for_room(
    asked: Mapping[str, float],
    begun: Callable[[], bool],
    start: asyncio.Future[Any],
    say: Callable[[str], bool],
    what: str,
    by_parts: bool = False,
) -> None:
    """Wait until something has the resources that it asks for.

    Args:
        asked: The resources; with none there is nothing to wait for.
        begun: Tells whether it has them; may block for a moment, and runs in a thread.
        start: Its start, which may end before.
        say: Told once what the node lacks; returns whether to go on waiting.
        what: What asks, and what for: the first words of a message.
        by_parts: Whether there may be no room though the sums of resources suffice.

    Raises:
        ResourceWarning: The node lacks what is asked for, and nobody waits for that.
    """
    created_at = time.monotonic()
    said = False
    while asked and not await asyncio.to_thread(begun):
        await asyncio.wait([start], timeout=_LOOK)
        if start.done() or await asyncio.to_thread(begun):
            return
        total, free = await asyncio.to_thread(lambda: (ray.cluster_resources(), ray.available_resources()))
        lacking = lack(asked, total, free)
        patient = time.monotonic() - created_at < _PATIENCE
        if said or (lacking is Lack.NOTHING and not by_parts) or (lacking is not Lack.EVER and patient):
            continue
        message = f"{what}, and the node has {_numbers(total)}, of which {_numbers(free)} are free."
        if not say(message):
            raise ResourceWarning(message)
        said = True


def has_process(name: str) -> bool:
    """Tell whether an actor has a process, and resources therefore; that may have to start still."""
    return any(row.pid for row in state.list_actors(filters=[("name", "=", name), ("state", "!=", "DEAD")]))


def _numbers(resources: Mapping[str, float]) -> dict[str, float]:
    """Those that people ask for: without what names nodes and parts of placement groups."""
    names = [key for key in resources if not key.startswith("node:") and "memory" not in key and "_group_" not in key]
    return {key: resources[key] for key in names}
