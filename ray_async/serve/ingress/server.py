"""The HTTP server in a replica: uvicorn's protocols on the replica's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ("Connection", "HTTPServer")


_GRACE = 0.5  # seconds


class Connection(HttpToolsProtocol):
    """A connection, which cancels the request that it waits for when its client goes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        requests: Any = self.app
        self.running: asyncio.Task[Any] | None = None

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.running = asyncio.current_task()

            async def last(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
                await send(message)

            try:
                await requests(scope, receive, last if requests.leaving else send)
            except asyncio.CancelledError:
                if not self.gone:
                    raise
            finally:
                self.running = None

        self.app = app

    @property
    def gone(self) -> bool:
        """Whether the client has left before it had its whole answer."""
        return bool(self.cycle) and self.cycle.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client, unless the client has its answer already."""
        super().connection_lost(exc)
        if self.running is not None and self.gone:
            self.running.cancel()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process is a worker's."""
        yield


class HTTPServer:
    """Serves the requests of one replica.

    Args:
        app: The ASGI application that takes all requests.
        http: The HTTP options.
    """

    def __init__(self, app: Any, http: dict[str, Any]) -> None:
        self._app = app
        config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=True,
            timeout_keep_alive=http["keep_alive_timeout_s"],
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Take connections from the listening socket."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listener]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.001)

    async def drain(self) -> None:
        """Take no more connections; the next answer on each open one is its last.

        Who asks during the grace learns so from the answer. An idle connection is closed after it: nothing has come on
        it, and a client that sends at that very moment has to try again, as HTTP has it.
        """
        self._app.leaving = True
        for server in self._server.servers:
            server.close()
        connections = self._server.server_state.connections
        end = time.monotonic() + _GRACE
        while connections and time.monotonic() < end:
            await asyncio.sleep(0.02)
        while connections:
            for connection in list(connections):
                connection.shutdown()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Close what is open still."""
        self._server.should_exit = self._server.force_exit = True
        for task in list(self._server.server_state.tasks):
            task.cancel()
        if self._task is not None:
            await self._task
