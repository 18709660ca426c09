"""The local side of an ingress: the replica that is in the same process, and the code that runs its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ray_async.serve.ingress.body import Receive
from ray_async.serve.ingress.reply import Reply
from ray_async.serve.replica.runner import Runner
from ray_async.serve.replica.slots import Slots

__all__ = ("Local", "Run")

Run = Callable[[dict[str, Any], Receive, Reply], Awaitable[None]]


@dataclass(frozen=True)
class Local:
    """What runs requests in this process.

    Args:
        target: Application and deployment of the replica.
        slots: Its slots.
        runner: What runs the user's methods.
        asgi: The user's ASGI application; None: requests go to ``__call__``.
        replica: The replica's id.
    """

    target: tuple[str, str]
    slots: Slots
    runner: Runner
    asgi: Any
    replica: str = ""
