"""The front: takes HTTP where no replica does, so that a client is told, or waits for the first replica."""

from __future__ import annotations

import asyncio
import socket
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_async.serve.handle.client import get_client
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.telemetry.line_format import Origin

if TYPE_CHECKING:
    from ray_async.serve.telemetry.telemetry import Telemetry

__all__ = ("Front",)


class Front:
    """Accepts from the listening socket while it is wanted; hands all requests over.

    The first time it begins with the first client that comes: most often a replica runs before, and nobody has waited
    for the imports of a server.

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
        is_first = True
        while True:
            await self._wanted.wait()
            if is_first and not await self._somebody_comes():
                is_first = False
                continue
            is_first = False
            await asyncio.to_thread(import_module, "ray_async.serve.ingress.requests")  # the loop goes on meanwhile
            from ray_async.serve.ingress.requests import Requests
            from ray_async.serve.ingress.server import HTTPServer
            from ray_async.serve.telemetry.telemetry import Telemetry

            if not self._wanted.is_set():
                continue
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

    async def _somebody_comes(self) -> bool:
        """Wait until a client connects; False where the front is not wanted any more by then."""
        loop = asyncio.get_running_loop()
        comes = asyncio.Event()

        def seen() -> None:
            loop.remove_reader(self._listening)
            comes.set()

        loop.add_reader(self._listening, seen)
        waits = [loop.create_task(event.wait()) for event in (comes, self._unwanted)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._listening)
            for one in waits:
                one.cancel()
        return self._wanted.is_set()
