"""HTTP as far as the controller has to do with it: the listening socket, and the front while no replica serves.

The socket belongs to all that hold it: a new controller gets it back from a replica. Where none holds it, the address
is free, and it is bound again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray_async.serve.config import HTTPOptions
from ray_async.serve.ingress.front import Front
from ray_async.serve.ingress.listener import Listener, bind, find_listener, listener_path

__all__ = ("Listening",)

logger = logging.getLogger("ray_async.serve")
_PAUSE = 0.1  # seconds between two tries to get the socket back


class Listening:
    """The listening socket: made, or got back, and given to replicas.

    Args:
        folder: Serve's folder.
        spawn: Runs something beside.
    """

    def __init__(self, folder: Path, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self.http: HTTPOptions | None = None
        self.address: tuple[str, int] | None = None
        self._folder = folder
        self._spawn = spawn
        self._listener: Listener | None = None
        self._front: Front | None = None
        self._front_wanted = True
        self._ready = asyncio.Event()
        self._recovery: asyncio.Task[None] | None = None

    def begin(self, http: HTTPOptions) -> None:
        """Listen at an address.

        Raises:
            OSError: The port is taken.
        """
        self._listen(Listener(listener_path(self._folder), bind(http.host, http.port)), http)

    def recover(self, http: HTTPOptions, address: tuple[str, int]) -> None:
        """Listen again where an earlier controller has."""
        self.http, self.address = http, address
        self._recovery = self._spawn(self._recover(http, address))

    async def _recover(self, http: HTTPOptions, address: tuple[str, int]) -> None:
        said = False
        while True:
            found = await find_listener(self._folder)
            try:
                # Who listens still keeps the address from being bound: it gives the socket away in time, or ends.
                self._listen(Listener(listener_path(self._folder), found or bind(*address)), http)
            except OSError as error:
                if not said:
                    logger.warning("Serve's controller has no listening socket yet: %s", error)
                said = True
                await asyncio.sleep(_PAUSE)
            else:
                return

    def _listen(self, listener: Listener, http: HTTPOptions) -> None:
        listener.start()
        self._listener, self.http, self.address = listener, http, listener.address
        self._front = Front(listener.socket, asdict(http))
        self._front.want(self._front_wanted)
        self._ready.set()

    async def for_replica(self, serves_http: bool) -> tuple[str | None, dict[str, Any]]:
        """What a replica needs to take HTTP requests."""
        if self.http is None or not serves_http:
            return None, {}
        await self._ready.wait()
        return str(listener_path(self._folder)), asdict(self.http)

    def want_front(self, wanted: bool) -> None:
        """Say whether the controller itself is to accept connections."""
        self._front_wanted = wanted
        if self._front is not None:
            self._front.want(wanted)

    async def close(self) -> None:
        """Accept no more, and let go of the socket."""
        if self._recovery is not None:
            self._recovery.cancel()
        if self._front is not None:
            await self._front.close()
            self._front = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
