"""The replica's actor."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ray_async import cloudpickle
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.asgi_class import instantiate
from ray_async.serve.board import CONSTRUCTING, RUNNING, Board
from ray_async.serve.context import ReplicaContext, RequestContext, current_replica, current_request
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.handle.client import Client, get_client
from ray_async.serve.handle.refusal import ACCEPTED, REFUSED
from ray_async.serve.ingress.listener import receive_listener
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.ingress.requests import Local, Requests
from ray_async.serve.ingress.server import HTTPServer
from ray_async.serve.multiplexing.holdings import Holdings
from ray_async.serve.replica.runner import Runner
from ray_async.serve.replica.slots import Slots

__all__ = ("About", "ReplicaActor")

About = tuple[str, str, str, str]  # method, request id, model id, route


class ReplicaActor:
    """Holds one user's object and runs requests on it.

    Args:
        folder: Serve's folder.
        app: The application's name.
        spec: The deployment.
        replica_id: The replica's own id.
        place: Its slot on the board.
    """

    def __init__(self, folder: str, app: str, spec: DeploymentSpec, replica_id: str, place: int) -> None:
        self._folder = Path(folder)
        self._app = app
        self._spec = spec
        self._id = replica_id
        self._place = place
        self._board = Board(self._folder)
        self._board.set_ongoing(place, 0)
        current_replica.holdings = Holdings(self._board, place)
        self._board.set_state(place, CONSTRUCTING)
        self._slots: Slots
        self._runner: Runner
        self._client: Client
        self._server: HTTPServer | None = None
        self._requests: Requests | None = None

    async def start(self, listener: str | None, http: dict[str, Any]) -> None:
        """Construct the user's object and take requests.

        Args:
            listener: The path by which the listening socket is had; None for a replica that serves no HTTP.
            http: The HTTP options.
        """
        options = self._spec.options
        current_replica.loop = asyncio.get_running_loop()
        self._client = get_client()
        sys.path += [entry for entry in self._spec.path if entry not in sys.path]
        target, args, kwargs = cloudpickle.loads(self._spec.code)
        context = ReplicaContext(self._app, self._spec.name, self._id, None)
        current_replica.context = context
        self._slots = Slots(self._board, self._place, options.max_ongoing_requests)
        is_class = inspect.isclass(target)
        if is_class:
            instance = target.__new__(target)
            current_replica.context = ReplicaContext(self._app, self._spec.name, self._id, instance)
            if args or kwargs or type(instance).__init__ is not object.__init__:
                await _maybe_async(type(instance).__init__, instance, *args, **kwargs)
        else:
            instance = target
        self._runner = Runner(instance, options.max_ongoing_requests)
        if options.user_config is not None:
            await self._configure(options.user_config)
        if listener is not None:
            app = instantiate(instance) if is_class else None
            local = Local((self._app, self._spec.name), self._slots, self._runner, app)
            self._requests = Requests(self._client, http, local, self._folder)
            self._server = HTTPServer(self._requests, http, passing_path(self._folder, self._place))
            await self._requests.startup()
            await self._server.start(await receive_listener(listener))
        self._board.set_state(self._place, RUNNING)

    async def _configure(self, user_config: Any) -> None:
        target = self._runner.target
        if inspect.isfunction(target) or not hasattr(target, "reconfigure"):
            raise RayServeException(
                f"Deployment {self._spec.name!r} has a user_config, but no method `reconfigure` that takes it."
            )
        await _maybe_async(target.reconfigure, user_config)

    async def update(self, spec: DeploymentSpec) -> None:
        """Take over options that need no new replica."""
        if spec.options.user_config != self._spec.options.user_config:
            await self._configure(spec.options.user_config)
        limit = spec.options.max_ongoing_requests
        if limit != self._slots.limit:
            self._slots.limit = limit
            self._runner.resize(limit)
        self._spec = spec

    async def live(self) -> None:
        """Run as long as the process does: the call's end is its death."""
        await asyncio.Event().wait()

    async def check_health(self) -> None:
        """Run the user's check, which raises when the replica is not well."""
        check = getattr(self._runner.target, "check_health", None)
        if check is not None and not inspect.isfunction(self._runner.target):
            await _maybe_async(check)

    async def call(self, about: About, *args: Any, **kwargs: Any) -> Any:
        """Run a request that gives one value; `REFUSED` when all slots are taken."""
        if not self._slots.free:
            return REFUSED
        with self._slots:
            request = self._enter(about)
            try:
                return await self._runner.call(about[0], args, kwargs)
            except asyncio.CancelledError:
                request.cancel_calls()
                raise
            finally:
                request.task = None  # its context refers to the request

    async def stream(self, about: About, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Run a request that gives items: the first says whether it was taken."""
        if not self._slots.free:
            yield REFUSED
            return
        with self._slots:
            request = self._enter(about)
            yield ACCEPTED
            items = self._runner.stream(about[0], args, kwargs)
            try:
                async for item in items:
                    yield item
            except (asyncio.CancelledError, GeneratorExit):
                request.cancel_calls()
                raise
            finally:
                request.task = None
                await items.aclose()  # type: ignore[attr-defined]

    async def http(self, about: About, scope: dict[str, Any], body: bytes) -> AsyncIterator[Any]:
        """Run an HTTP request that another replica has taken; gives the messages of its response, in lists."""
        if self._requests is None or not self._slots.free:
            yield REFUSED
            return
        with self._slots:
            answer = self._requests.handed_over(about[1], scope, body)
            try:
                async for messages in answer:
                    yield messages
            finally:
                await answer.aclose()  # type: ignore[attr-defined]

    def _enter(self, about: About) -> RequestContext:
        request = RequestContext(about[1], about[3], self._app, about[2], task=asyncio.current_task())
        current_request.set(request)
        return request

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests, finish those that are there, and let the user's object clean up.

        Args:
            timeout_s: Seconds after which the requests that are left are given up.
        """
        self._slots.drain()
        try:
            async with asyncio.timeout(timeout_s):
                if self._server is not None:
                    await self._server.drain()
                await self._slots.idle()
        except TimeoutError:
            pass
        if self._server is not None:
            await self._server.stop()
        if self._requests is not None:
            await self._requests.shutdown()
        if current_replica.holdings is not None:
            await current_replica.holdings.close()
        target = self._runner.target
        self._runner.close()
        finalizer = None if inspect.isfunction(target) else getattr(type(target), "__del__", None)
        if finalizer is not None:
            await _maybe_async(finalizer, target)
            # It must not run again when the object goes.
            type(target).__del__ = lambda _: None


async def _maybe_async(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the user's function: a sync one in a thread, so that it does not hold up the loop."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    result = await asyncio.to_thread(function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result
