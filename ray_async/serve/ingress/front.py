"""The front: takes HTTP where no replica does, so that a client is told, or waits for the first replica."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

from ray_async.serve.handle.client import get_client
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.ingress.requests import Requests
from ray_async.serve.ingress.server import HTTPServer
from ray_async.serve.telemetry.line_format import Origin
from ray_async.serve.telemetry.telemetry import Telemetry

__all__ = ("Front",)


class Front:
    """Accepts from the listening socket while it is wanted; hands all requests over.

    Args:
        listening: The listening socket, which stays the caller's.
        http: The HTTP options.
        place: Serve's folder.
        process: The name of the process, for its log.
    """

    def __init__(
        self, listening: socket.socket, http: dict[str, Any], place: Path, process: str = "controller"
    ) -> None:
        self._place = place
        self._process = process
        self._telemetry: Telemetry | None = None
        self._listening = listening
        self._http = http
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._task: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._run())

    def want(self, wanted: bool) -> None:
        """Say whether to accept."""
        on, off = (self._wanted, self._unwanted) if wanted else (self._unwanted, self._wanted)
        off.clear()
        on.set()

    async def close(self) -> None:
        """Accept no more, and close what is open."""
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._telemetry is not None:
            self._telemetry.close()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            client = get_client()
            if self._telemetry is None:
                self._telemetry = Telemetry(Origin(), client, self._place, process=self._process)
            requests = Requests(client, self._http, self._telemetry)
            server = HTTPServer(requests, self._http, passing_path(self._place, self._process))
            await server.start(self._listening.dup())
            try:
                await self._unwanted.wait()
                await server.drain(grace_in_use_s=0.5)  # it may be wanted again at once
            finally:
                await server.stop()
