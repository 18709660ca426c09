"""The front in a process of its own, for applications that scale to zero: what waits there outlives the controller."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from ray_async.serve.ingress.body import bodies
from ray_async.serve.ingress.front import Front
from ray_async.serve.ingress.listener import Listener, listener_path, receive_listener

__all__ = ("FrontActor",)

logger = logging.getLogger("ray_async.serve")


class FrontActor:
    """Accepts from the listening socket while it is wanted; another life begins by accepting.

    Args:
        folder: Serve's folder.
        http: The HTTP options.
    """

    def __init__(self, folder: str, http: dict[str, Any]) -> None:
        self._folder = Path(folder)
        self._http = http
        self._wanted = True
        self._front: Front | None = None
        self._listener: Listener | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        while self._listener is None:
            try:
                listening = await receive_listener(str(listener_path(self._folder)))
            except (OSError, EOFError):
                logger.exception("Serve's front has no listening socket yet")
            else:
                self._listener = Listener(listener_path(self._folder, "front"), listening)
                self._listener.start()
                self._front = Front(listening, self._http, self._folder, "front")
                self._front.want(self._wanted)

    async def start(self) -> None:
        """Wait until it can accept."""
        await asyncio.shield(self._starting)

    async def receive_body(self, number: int) -> dict[str, Any]:
        """The next part of a body that comes here, for the replica that runs its request."""
        return await bodies.receive(number)

    async def live(self) -> None:
        """Run as long as the process does: the call's end is its death."""
        await asyncio.Event().wait()

    async def want(self, wanted: bool) -> None:
        """Say whether to accept."""
        self._wanted = wanted
        if self._front is not None:
            self._front.want(wanted)

    async def close(self) -> None:
        """Accept no more, and close what is open."""
        self._starting.cancel()
        if self._front is not None:
            await self._front.close()
        if self._listener is not None:
            self._listener.close()
