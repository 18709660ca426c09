"""The replica: what holds a user's object, in its process."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async import cloudpickle
from ray_async.actor import exit_actor
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.asgi_class import instantiate
from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.board import CONSTRUCTING, RUNNING, Board
from ray_async.serve.context import ReplicaContext, RequestContext, current_replica, current_request
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.gang import GangContext
from ray_async.serve.handle.client import Client, get_client
from ray_async.serve.handle.refusal import ACCEPTED, REFUSED
from ray_async.serve.ingress.body import RestOfBody, bodies
from ray_async.serve.ingress.listener import Listener, listener_path, receive_listener
from ray_async.serve.ingress.local import Local
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.ingress.requests import Requests
from ray_async.serve.ingress.server import HTTPServer
from ray_async.serve.multiplexing.holdings import Holdings
from ray_async.serve.replica.replica_actor import UNREAD, UNREAD_LISTS, About, ReplicaActor
from ray_async.serve.replica.routing_stats import RoutingStats
from ray_async.serve.replica.runner import Runner, maybe_async
from ray_async.serve.replica.slots import Slots
from ray_async.serve.request_router.asking import made
from ray_async.serve.request_router.config import RequestRouterConfig
from ray_async.serve.stack_dump import stack_path, take_requests
from ray_async.serve.telemetry.line_format import Origin
from ray_async.serve.telemetry.telemetry import Telemetry

# What the zygote imports once the first replica is on its way, which does without until somebody looks at a request.
__preload_next__ = ("ray_async.serve.ingress.plain_request",)

__all__ = ("ReplicaHost",)

logger = logging.getLogger("ray_async.serve")
_ENDS = (SystemExit, KeyboardInterrupt, GeneratorExit)  # what ends a process, or a generator, elsewhere
_CLEAN_UP = 2.0  # seconds for requests that are cancelled at the end


class ReplicaHost(ReplicaActor):
    """Holds one user's object and runs requests on it.

    Args:
        folder: Serve's folder.
        app: The application's name.
        spec: The deployment.
        replica_id: The replica's own id.
        place: Its slot on the board.
        gang: What it knows of its gang; None where it is in none.
    """

    def __init__(
        self,
        folder: str,
        app: str,
        spec: DeploymentSpec,
        replica_id: str,
        place: int,
        gang: GangContext | None = None,
    ) -> None:
        self._gang = gang
        self._folder = Path(folder)
        self._app = app
        self._spec = spec
        self._id = replica_id
        self._place = place
        self._board = Board(self._folder)
        self._board.set_ongoing(place, 0)
        self._stacks = take_requests(stack_path(self._folder, place))
        self._board.set_pid(place, os.getpid())
        current_replica.holdings = Holdings(self._board, place)
        self._board.set_state(place, CONSTRUCTING)
        self._slots: Slots
        self._runner: Runner
        self._client: Client
        self._server: HTTPServer | None = None
        self._requests: Requests | None = None
        self._listener: Listener | None = None
        self._constructing: asyncio.Task[Any] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._updating = asyncio.Lock()
        self._watched = asyncio.Event()
        self._telemetry: Telemetry
        self._routing: RoutingStats
        self._asks_router = False  # whether a router of the user's chooses for requests that come here

    async def start(self, listener: str | None, http: dict[str, Any]) -> None:
        """Construct the user's object and take requests; once, also if another controller asks again.

        Args:
            listener: The path by which the listening socket is had; None for a replica that serves no HTTP yet.
            http: The HTTP options.
        """
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._start(listener, http))
        await asyncio.shield(self._starting)
        if listener is not None:  # its application may have got a prefix since it was started
            await self._opened(listener, http)

    async def construct(self) -> None:
        """Construct the user's object, once; requests are taken after `start`."""
        await self._constructed()

    async def _constructed(self) -> bool:
        """Construct the user's object, once; tells whether it is of a class."""
        if self._constructing is None:
            self._constructing = asyncio.get_running_loop().create_task(self._construct())
        result: bool = await asyncio.shield(self._constructing)
        return result

    async def join(self, gang: GangContext) -> None:
        """Know the gang, of which another replica has been replaced."""
        self._gang = gang
        context = current_replica.context
        if context is not None:
            current_replica.context = replace(context, gang_context=gang)

    async def _construct(self) -> bool:
        options = self._spec.options
        current_replica.loop = asyncio.get_running_loop()
        self._client = get_client()
        sys.path += [entry for entry in self._spec.path if entry not in sys.path]
        # In a thread, as it may import much: the loop is not blocked meanwhile.
        target, args, kwargs = await asyncio.to_thread(cloudpickle.loads, self._spec.code)
        version = self._spec.version
        current_replica.context = ReplicaContext(self._app, self._spec.name, self._id, None, version, self._gang)
        current_replica.counts = self._client.counts
        source = Origin(self._app, self._spec.name, self._id)
        self._telemetry = Telemetry(source, self._client, self._folder, options.logging_config)
        self._slots = Slots(self._board, self._place, options.max_ongoing_requests)
        is_class = inspect.isclass(target)
        if is_class:
            instance = target.__new__(target)
            current_replica.context = replace(current_replica.context, servable_object=instance)
            if args or kwargs or type(instance).__init__ is not object.__init__:
                await maybe_async(type(instance).__init__, instance, *args, **kwargs)
        else:
            instance = target
        self._runner = Runner(instance, options.max_ongoing_requests)
        if options.user_config is not None:
            await self._configure(options.user_config)
        await self.check_health()  # one that is not well from the beginning replaces none
        self._routing = RoutingStats(self._board, self._place, self._recorder("record_routing_stats"))
        await self._take_router(options.request_router_config)
        self._telemetry.begin_tracing()
        return is_class

    async def _start(self, listener: str | None, http: dict[str, Any]) -> None:
        await self._constructed()
        if listener is not None:
            await self._opened(listener, http)
        self._board.set_state(self._place, RUNNING)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._terminate)

    async def _opened(self, listener: str, http: dict[str, Any]) -> None:
        """Take HTTP requests from now on; once."""
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(listener, http))
        await asyncio.shield(self._opening)

    async def _open(self, listener: str, http: dict[str, Any]) -> None:
        app = instantiate(self._runner.target) if await self._constructed() else None
        self._telemetry.set_application(app)
        local = Local((self._app, self._spec.name), self._slots, self._runner, app, self._id)
        self._requests = Requests(self._client, http, self._telemetry, local, self._folder)
        self._requests.asks_router = self._asks_router
        self._server = HTTPServer(self._requests, http, passing_path(self._folder, self._place))
        await self._requests.startup()
        listening = await receive_listener(listener)
        self._listener = Listener(listener_path(self._folder, self._place), listening.dup())
        self._listener.start()
        await self._server.start(listening)

    async def _configure(self, user_config: Any) -> None:
        target = self._runner.target
        if inspect.isfunction(target) or not hasattr(target, "reconfigure"):
            raise RayServeException(
                f"Deployment {self._spec.name!r} has a user_config, but no method `reconfigure` that takes it."
            )
        await maybe_async(target.reconfigure, user_config)

    async def update(self, spec: DeploymentSpec) -> None:
        """Take over options that need no new replica."""
        async with self._updating:  # another controller may ask for the same before it is done
            await self._update(spec)

    async def _update(self, spec: DeploymentSpec) -> None:
        if spec.options.user_config != self._spec.options.user_config:
            await self._configure(spec.options.user_config)
        if spec.options.request_router_config != self._spec.options.request_router_config:
            await self._take_router(spec.options.request_router_config)
        self._telemetry.configure(spec.options.logging_config)
        limit = spec.options.max_ongoing_requests
        if limit != self._slots.limit:
            self._slots.limit = limit
            self._runner.resize(limit)
        self._spec = spec

    async def _take_router(self, config: RequestRouterConfig | None) -> None:
        """Let the user's router choose from now on; where it cannot be made, a deploy of it fails."""
        self._asks_router = config is not None and config.is_custom
        if config is not None and config.is_custom:
            await asyncio.to_thread(made, config, self._spec.path, DeploymentID(self._spec.name, self._app))
        if self._requests is not None:
            self._requests.asks_router = self._asks_router
        self._routing.configure(config)

    def _recorder(self, name: str) -> Callable[[], Awaitable[Any]] | None:
        """The user's method that records something, which replicas call by themselves; None where there is none."""
        target = self._runner.target
        record = None if inspect.isfunction(target) else getattr(target, name, None)
        return None if record is None else partial(maybe_async, record)

    async def live(self) -> None:
        """Run as long as the process does, or until another controller asks: the call's failure is its death."""
        self._watched.set()
        watched = self._watched = asyncio.Event()
        await watched.wait()

    async def autoscaling_stats(self) -> dict[str, float]:
        """What the user's `record_autoscaling_stats` gives for the policy; nothing where there is none."""
        record = self._recorder("record_autoscaling_stats")
        return {} if record is None else {str(name): float(value) for name, value in (await record()).items()}

    async def ping(self) -> None:
        """Show that the loop is not blocked."""

    async def check_health(self) -> None:
        """Run the user's check, which raises when the replica is not well."""
        check = getattr(self._runner.target, "check_health", None)
        if check is None or inspect.isfunction(self._runner.target):
            return
        try:
            await maybe_async(check)
        except _ENDS as error:  # it says that, and does not end the process
            raise RuntimeError(f"check_health has raised {error!r}") from error

    async def call(self, about: About, *args: Any, **kwargs: Any) -> Any:
        """Run a request that gives one value; `REFUSED` when all slots are taken."""
        if not self._slots.free:
            return REFUSED
        with self._slots:
            request = self._enter(about)
            observed = self._telemetry.observe_call(about[0], request)
            try:
                return await self._runner.call(about[0], args, kwargs)
            except BaseException as error:
                if observed is not None:
                    observed.failed(error)
                if isinstance(error, asyncio.CancelledError):
                    request.cancel_calls()
                raise
            finally:
                request.task = None  # its context refers to the request
                if observed is not None:
                    observed.end()

    @ray.method(_generator_backpressure_num_objects=UNREAD)
    async def stream(self, about: About, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Run a request that gives items: the first says whether it was taken."""
        if not self._slots.free:
            yield REFUSED
            return
        with self._slots:
            request = self._enter(about)
            yield ACCEPTED
            observed = self._telemetry.observe_call(about[0], request)
            items = self._runner.stream(about[0], args, kwargs)
            try:
                async for item in items:
                    yield item
            except BaseException as error:
                if observed is not None:
                    observed.failed(error)
                if isinstance(error, asyncio.CancelledError | GeneratorExit):
                    request.cancel_calls()
                raise
            finally:
                request.task = None
                if observed is not None:
                    observed.end()
                await items.aclose()  # type: ignore[attr-defined]

    async def receive_body(self, number: int) -> dict[str, Any]:
        """The next part of a body that comes here, for another replica that runs its request."""
        return await bodies.receive(number)

    @ray.method(_generator_backpressure_num_objects=UNREAD_LISTS)
    async def http(
        self, about: About, scope: dict[str, Any], body: bytes, rest: RestOfBody | None
    ) -> AsyncIterator[Any]:
        """Run an HTTP request that another replica has taken; gives the messages of its response, in lists."""
        if self._requests is None or not self._slots.free:
            yield REFUSED
            return
        with self._slots:
            lists = self._requests.handed_over(about[1], about[3], scope, body, rest)
            try:
                async for messages in lists:
                    yield messages
            finally:
                await lists.aclose()  # type: ignore[attr-defined]

    @ray.method(_generator_backpressure_num_objects=UNREAD)
    async def grpc(self, about: About, received: Any, context: Any, stream: bool) -> AsyncIterator[Any]:
        """Run a call by gRPC; gives its messages, and its outcome at last.

        Args:
            about: The call.
            received: The client's message, or its messages.
            context: What the method sees of the call.
            stream: Whether the method gives several messages.
        """
        from ray_async.serve.grpc_ingress.answer import answer
        from ray_async.serve.grpc_ingress.values import CallOutcome

        if not self._slots.free:
            yield REFUSED
            return
        with self._slots:
            request = self._enter(about)
            yield ACCEPTED
            observed = self._telemetry.observe_call(about[0], request)
            messages = answer(self._runner, request, about[0], received, context, stream)
            try:
                async for message in messages:
                    if observed is not None and isinstance(message, CallOutcome):
                        observed.status = message.name
                    yield message
            except (asyncio.CancelledError, GeneratorExit) as error:
                if observed is not None:
                    observed.failed(error)
                request.cancel_calls()
                raise
            finally:
                request.task = None
                if observed is not None:
                    observed.end()
                await messages.aclose()  # type: ignore[attr-defined]

    def _enter(self, about: About) -> RequestContext:
        request = RequestContext(about[1], about[3], self._app, about[2], task=asyncio.current_task())
        if about[4]:
            request.idempotent = True
        current_request.set(request)
        return request

    def _terminate(self) -> None:
        """Drain, and end; the controller sees that on the board, and has another replica started meanwhile."""
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())

    async def _end(self) -> None:
        await self.drain(self._spec.options.graceful_shutdown_timeout_s)
        exit_actor()

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests, finish those that are there, and let the user's object clean up; once.

        Args:
            timeout_s: Seconds after which the requests that are left are given up.
        """
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain(timeout_s))
        await asyncio.shield(self._draining)

    async def _drain(self, timeout_s: float) -> None:
        self._slots.drain()
        if self._listener is not None:
            self._listener.close()
        try:
            async with asyncio.timeout(timeout_s):
                if self._server is not None:
                    await self._server.drain()
                await self._slots.idle()
        except TimeoutError:
            await self._end_requests()
        steps: list[Callable[[], Awaitable[None]]] = []
        if self._server is not None:
            steps.append(self._server.stop)
        if self._requests is not None:
            steps.append(self._requests.shutdown)
        if current_replica.holdings is not None:
            steps.append(current_replica.holdings.close)
        for step in (*steps, self._finalize):
            try:
                await step()
            except (Exception, *_ENDS) as error:  # the user's code: the end goes on without it
                logger.error("Replica %s failed in its end.", self._id, exc_info=error)
        self._routing.close()
        self._telemetry.flush()
        self._runner.close()

    async def _end_requests(self) -> None:
        """Cancel the requests that are left, and give them a moment to clean up."""
        # They are looked for, once: to keep a list of them would cost each request.
        left = {one.task for one in gc.get_objects() if type(one) is RequestContext and one.task is not None}
        loop = asyncio.get_running_loop()
        tasks = [task for task in left if task.get_loop() is loop and not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLEAN_UP)

    async def _finalize(self) -> None:
        """Let the user's object clean up."""
        target = self._runner.target
        finalizer = None if inspect.isfunction(target) else getattr(type(target), "__del__", None)
        if finalizer is None:
            return
        try:
            await maybe_async(finalizer, target)
        finally:
            # It must not run again when the object goes.
            type(target).__del__ = lambda _: None
