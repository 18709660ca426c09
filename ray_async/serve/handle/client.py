"""The client: this process's view of Serve, with the routers of its loops."""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

import ray_async as ray
from ray_async.serve.board import Board
from ray_async.serve.context import current_replica
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.handle.router import Router
from ray_async.serve.names import deployment_key, folder
from ray_async.serve.telemetry.counts import Counts

__all__ = ("Client", "get_client", "own_loop")

_lock = threading.Lock()
# Alive while handles, responses or the running replica refer to it.
_clients: weakref.WeakValueDictionary[str, Client] = weakref.WeakValueDictionary()


class Client:
    """Reads the board and the table; makes one router for each deployment and loop.

    Args:
        board: The mapped board, which the client closes when it goes.
        counts: What this process counts, if somebody wants that; likewise.
    """

    def __init__(self, board: Board, counts: Counts | None = None) -> None:
        self.board = board
        self.counts = counts
        self._version = -1
        self._table: dict[str, Any] = {}
        self._routers: dict[tuple[str, int], Router] = {}
        self._lock = threading.Lock()
        self._loop_thread: LoopThread | None = None
        weakref.finalize(self, board.close)
        if counts is not None:
            weakref.finalize(self, counts.close)

    def table(self) -> dict[str, Any]:
        """The table of routes and replicas, read again when its version has changed."""
        version = self.board.version
        if version != self._version:
            self._table = self.board.table()
            self._version = version
        return self._table

    def router(self, app: str, deployment: str, loop: asyncio.AbstractEventLoop) -> Router:
        """The router for a deployment in a loop."""
        key = deployment_key(app, deployment)
        router = self._routers.get((key, id(loop)))
        if router is None or router.loop is not loop:
            self.forget_closed()
            with self._lock:
                new = Router(self.board, key, loop, weakref.ref(self), self.counts)
                router = self._routers.setdefault((key, id(loop)), new)
        return router

    def forget_closed(self) -> None:
        """Drop the routers of loops that have ended, and what waits in them."""
        if any(router.loop.is_closed() for router in list(self._routers.values())):
            with self._lock:
                stale = [known for known, old in self._routers.items() if old.loop.is_closed()]
                for known in stale:
                    self._routers.pop(known).forget()

    def thread_loop(self) -> asyncio.AbstractEventLoop:
        """The loop that carries the calls of threads which have none."""
        if current_replica.loop is not None:
            loop: asyncio.AbstractEventLoop = current_replica.loop
            return loop
        with self._lock:
            if self._loop_thread is None:
                self._loop_thread = LoopThread()
                weakref.finalize(self, self._loop_thread.stop)
            return self._loop_thread.loop


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="serve-handles", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def stop(self) -> None:
        """End the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)


def get_client() -> Client:
    """The client of this process's session.

    Raises:
        RayServeException: Serve is not running.
    """
    name = ray.get_runtime_context().get_session_name()
    client = _clients.get(name)
    if client is None:
        with _lock:
            client = _clients.get(name)
            if client is None:
                try:
                    client = _clients[name] = Client(Board(folder()), Counts.of_process(folder()))
                except FileNotFoundError:
                    raise RayServeException(
                        "Serve is not running: call serve.run(app) or serve.start() first."
                    ) from None
    return client


def own_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
