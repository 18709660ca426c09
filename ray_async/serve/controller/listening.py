"""HTTP as far as the controller has to do with it: the listening socket, and the front while no replica serves.

The socket belongs to all that hold it: a new controller gets it back from a replica, or from the front. Where none
holds it, the address is free, and it is bound again. The front is the controller's own, but where applications scale to
zero it is an actor, and what waits there for a replica outlives the controller.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async.exceptions import ActorUnavailableError
from ray_async.serve.config import HTTPOptions
from ray_async.serve.deaths import DEATHS
from ray_async.serve.ingress.front import Front
from ray_async.serve.ingress.front_actor import FrontActor
from ray_async.serve.ingress.listener import Listener, bind, find_listener, listener_path
from ray_async.serve.names import FRONT, NAMESPACE
from ray_async.serve.status_values import HTTPAcceptor

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
        self._keeper: Any = None  # the front's actor, where there is one
        self._is_kept = False  # whether it works
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
        self._front = Front(listener.socket, asdict(http), self._folder)
        self._tell()
        self._ready.set()

    async def for_replica(self, serves_http: bool) -> tuple[str | None, dict[str, Any]]:
        """What a replica needs to take HTTP requests."""
        if self.http is None or not serves_http:
            return None, {}
        await self._ready.wait()
        return str(listener_path(self._folder)), asdict(self.http)

    @property
    def accepted_by(self) -> HTTPAcceptor:
        """Who accepts connections now."""
        if self.address is None:
            return HTTPAcceptor.NOBODY
        if not self._front_wanted:
            return HTTPAcceptor.REPLICAS
        return HTTPAcceptor.FRONT if self._is_kept else HTTPAcceptor.CONTROLLER

    def is_lacked(self, serves_http: bool, takes_http: bool) -> bool:
        """Whether a replica that shall take HTTP requests is still to do so; none is where HTTP is not served."""
        return self.http is not None and serves_http and not takes_http

    def want_front(self, wanted: bool, kept: bool) -> None:
        """Say whether connections are to be accepted by what is no replica.

        Args:
            wanted: Whether they are.
            kept: Whether what waits there must outlive the controller: then a process of its own accepts them.
        """
        if kept and self._keeper is None and self.http is not None and self._ready.is_set():
            options = ray.remote(FrontActor).options(
                name=FRONT,
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_concurrency=1000,
                max_restarts=-1,
            )
            self._keeper = options.remote(str(self._folder), asdict(self.http))
            self._spawn(self._look_after(self._keeper))
        if wanted != self._front_wanted:
            self._front_wanted = wanted
            self._tell()

    def _tell(self) -> None:
        if self._front is not None:
            self._front.want(self._front_wanted and not self._is_kept)
        if self._is_kept:
            self._spawn(self._say(self._keeper.want.remote(self._front_wanted)))

    async def _say(self, call: Any) -> None:
        with contextlib.suppress(*DEATHS):  # its next life is told too
            await call

    async def _look_after(self, keeper: Any) -> None:
        """Let the front's actor accept while it lives, and the controller while it does not."""
        while self._keeper is keeper:
            try:
                await keeper.start.remote()
                self._is_kept = True
                self._tell()
                await keeper.live.remote()
            except DEATHS as error:
                self._is_kept = False
                self._tell()
                if not isinstance(error, ActorUnavailableError):  # for good: there will be another one
                    self._keeper = None
                await asyncio.sleep(_PAUSE)

    async def close(self) -> None:
        """Accept no more, and let go of the socket."""
        if self._recovery is not None:
            self._recovery.cancel()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with contextlib.suppress(*DEATHS):
                await keeper.close.remote()
            ray.kill(keeper)
        if self._front is not None:
            await self._front.close()
            self._front = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
