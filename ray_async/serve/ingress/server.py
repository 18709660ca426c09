"""The HTTP server in a process: uvicorn's protocols on its own loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from ray_async.serve.ingress.connection import Connection
from ray_async.serve.ingress.passing import Passing
from ray_async.serve.ingress.relay import Relay
from ray_async.serve.ingress.slow_clients import SlowClients

__all__ = ("HTTPServer",)


_GRACE = 0.5  # seconds
_CLEAN_UP = 2.0  # seconds for handlers that are cancelled at the end
_SECOND = 1.0
_HEAD, _STALL, _PING = 20.0, 60.0, 20.0  # seconds for clients of a server that has no such options


def _websocket(**arguments: Any) -> Any:
    """The protocol of a websocket; imported where one comes, which takes longer than all else of a start."""
    from ray_async.serve.ingress.websocket import Websocket

    return Websocket(**arguments)


def _tls(http: dict[str, Any]) -> dict[str, Any]:
    """What uvicorn must be told of TLS."""
    if http.get("ssl_certfile") is None:
        return {}
    names = ("ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_ca_certs")
    wanted = ssl.CERT_NONE if http["ssl_ca_certs"] is None else ssl.CERT_REQUIRED
    return {name: http[name] for name in names} | {"ssl_cert_reqs": wanted}


class HTTPServer:
    """Serves the requests of the connections that one process has accepted.

    Args:
        app: The ASGI application that takes all requests.
        http: The HTTP options.
        passing: The path of the socket by which other processes pass connections on; None: they do not, nor does this.
    """

    def __init__(self, app: Any, http: dict[str, Any], passing: Path | None = None) -> None:
        self._app = app
        self._passing_path = passing
        self._passing: Passing | None = None
        self._config = uvicorn.Config(
            app,
            http=Connection,
            ws=_websocket,  # type: ignore[arg-type]
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=http["keep_alive_timeout_s"],
            ws_ping_interval=http.get("websocket_ping_interval_s", _PING),
            ws_ping_timeout=http.get("websocket_ping_timeout_s", _PING),
            **_tls(http),
        )
        self._head_timeout: float | None = http.get("head_timeout_s", _HEAD)
        self._slow = SlowClients(self._head_timeout, http.get("stall_timeout_s", _STALL))
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._moves: dict[Connection, asyncio.Task[None]] = {}
        self._silent: set[Path] = set()  # processes that did not take a connection, and are not asked again
        if passing is not None:
            self._silent.add(passing)

    async def start(self, listener: socket.socket) -> None:
        """Take connections from the listening socket."""
        self._config.load()
        self._server = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=listener,
            ssl=self._config.ssl,
            ssl_handshake_timeout=self._head_timeout if self._config.ssl is not None else None,
        )
        if self._passing_path is not None:
            self._passing = Passing(self._passing_path, self._passed_on)

    def _connection(self) -> Connection:
        if self._ticking is None:
            self._tick()
        return Connection(self._config, self._state, {})

    def _passed_on(self, begun: bool) -> Connection:
        connection = self._connection()
        connection.passed_on = begun
        return connection

    def _tick(self) -> None:
        """Each second in which there are connections: the date of answers, and an end of those that are idle."""
        loop = asyncio.get_running_loop()
        date = formatdate(time.time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date), (b"server", b"uvicorn")]
        now = loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.end_if_idle(now)
        self._end_slow(now)
        quiet = not self._state.connections and self._ticking is not None
        self._ticking = None if quiet else loop.call_later(_SECOND, self._tick)

    def _end_slow(self, now: float) -> None:
        connections: list[Any] = list(self._state.connections)
        for slow, awaited in self._slow.look([one for one in connections if not isinstance(one, Relay)], now):
            slow.end(awaited)

    async def _end_accepting(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._passing is not None:
            await self._passing.close()

    async def drain(self, *, grace_in_use_s: float = 2.0) -> None:
        """Take no more connections; give away those that are open.

        An idle connection goes to another process that accepts. On one in use, the answer to the next request is the
        last, and says so. Where nobody accepts, an idle connection is closed after a grace, if nothing has come on it,
        read or unread; a client that sends at that very moment has to try again, as HTTP has it. A connection in use
        has a longer grace, so that its client does ask again.

        Args:
            grace_in_use_s: Seconds for the next request on a connection that is in use.
        """
        await self._end_accepting()
        loop = asyncio.get_running_loop()
        connections: set[Any] = self._state.connections
        begun = loop.time()
        in_use = {one for one in connections if isinstance(one, Connection) and one.is_in_use(begun)}
        while waited := [connection for connection in connections if not _is_over(connection)]:
            for connection in waited:
                grace = grace_in_use_s if connection in in_use else _GRACE
                is_late = loop.time() >= begun + grace
                if not isinstance(connection, Connection):
                    if is_late:
                        connection.leave()
                elif connection not in self._moves:
                    self._release(connection)
                    if is_late and connection not in self._moves and not connection.has_unread():
                        connection.end_drained()
            await asyncio.sleep(0.02)

    def _release(self, connection: Connection) -> None:
        """Give an idle connection to another process, or have its next answer be the last."""
        successors: list[Path] = []
        if self._passing is not None and not connection.is_tls and connection.is_between_requests:
            successors = [path for path in self._app.successors() if path not in self._silent]
        if successors:
            connection.pause()
            move = self._moves[connection] = asyncio.get_running_loop().create_task(self._move(connection, successors))
            move.add_done_callback(lambda _: self._moves.pop(connection))
        else:
            connection.end_with_next()

    async def _move(self, connection: Connection, successors: list[Path]) -> None:
        for path in successors:
            if await connection.move(path):
                return
            self._silent.add(path)
        connection.end_with_next()

    async def stop(self) -> None:
        """Close what is open still."""
        await self._end_accepting()
        if self._ticking is not None:
            self._ticking.cancel()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        for connection in list(self._state.connections):
            if isinstance(connection, Relay):
                connection.end()
            else:
                connection.shutdown()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEAN_UP)


def _is_over(connection: Any) -> bool:
    return isinstance(connection, Connection) and connection.is_over(asyncio.get_running_loop().time())
