"""The HTTP server in a process: uvicorn's protocols on its own loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ray_async.serve.ingress.passing import Passing, pass_on
from ray_async.serve.ingress.relay import Relay

__all__ = ("Connection", "HTTPServer")


_GRACE = 0.5  # seconds


class Connection(HttpToolsProtocol):
    """A connection, which cancels the request that it waits for when its client goes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        requests: Any = self.app
        self.running: asyncio.Task[Any] | None = None
        self.passed_on = False  # whether another process has accepted it
        self._requests = requests

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

    def handle_websocket_upgrade(self) -> None:
        """Begin a websocket: here, or in the process that can serve it."""
        if not self.passed_on and self._pass_on():
            self.connections.discard(self)
            if self.transport.get_extra_info("sslcontext") is None:
                self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def _pass_on(self) -> bool:
        connection = self.transport.get_extra_info("socket")
        is_tls = self.transport.get_extra_info("sslcontext") is not None
        try:
            path = self._requests.elsewhere(unquote(httptools.parse_url(self.url).path.decode("ascii")))
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):  # the websocket's protocol refuses it
            return False
        if path is None or connection is None:
            return False
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.scope["headers"]]
        head = b"\r\n".join((*lines, b"", b""))
        return self._relay(path, head) if is_tls else pass_on(path, connection, head)

    def _relay(self, path: Path, head: bytes) -> bool:
        # The encryption cannot be passed on: the other process gets what is inside.
        ours, theirs = socket.socketpair()
        with theirs:
            passed = pass_on(path, theirs, head)
        if passed:
            Relay(self.transport, ours, self.connections)
        else:
            ours.close()
        return passed

    @property
    def gone(self) -> bool:
        """Whether the client has left before it had its whole answer."""
        return bool(self.cycle) and self.cycle.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client, unless the client has its answer already."""
        super().connection_lost(exc)
        if self.running is not None and self.gone:
            self.running.cancel()


def _tls(http: dict[str, Any]) -> dict[str, Any]:
    """What uvicorn must be told of TLS."""
    if http.get("ssl_certfile") is None:
        return {}
    names = ("ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_ca_certs")
    wanted = ssl.CERT_NONE if http["ssl_ca_certs"] is None else ssl.CERT_REQUIRED
    return {name: http[name] for name in names} | {"ssl_cert_reqs": wanted}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the process is a worker's."""
        yield


class HTTPServer:
    """Serves the requests of the connections that one process has accepted.

    Args:
        app: The ASGI application that takes all requests.
        http: The HTTP options.
        passing: The path of the socket by which other processes pass connections on; None: they do not.
    """

    def __init__(self, app: Any, http: dict[str, Any], passing: Path | None = None) -> None:
        self._app = app
        self._passing_path = passing
        self._passing: Passing | None = None
        config = uvicorn.Config(
            app,
            http=Connection,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=True,
            timeout_keep_alive=http["keep_alive_timeout_s"],
            **_tls(http),
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
        if self._passing_path is not None:
            self._passing = Passing(self._passing_path, self._passed_on)

    def _passed_on(self) -> Connection:
        server = self._server
        connection = Connection(server.config, server.server_state, server.lifespan.state)
        connection.passed_on = True
        return connection

    def _end_passing(self) -> None:
        if self._passing is not None:
            self._passing.close()
            self._passing = None

    async def drain(self) -> None:
        """Take no more connections; the next answer on each open one is its last.

        Who asks during the grace learns so from the answer. An idle connection is closed after it: nothing has come on
        it, and a client that sends at that very moment has to try again, as HTTP has it.
        """
        self._app.leaving = True
        self._end_passing()
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
        self._end_passing()
        self._server.should_exit = self._server.force_exit = True
        for task in list(self._server.server_state.tasks):
            task.cancel()
        if self._task is not None:
            await self._task
