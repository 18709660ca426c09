"""The controller's actor: carries out what is decided, and answers `serve.run` and `serve.status`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_async.serve.application import BuiltApplication
from ray_async.serve.board import SLOTS, Board
from ray_async.serve.config import HTTPOptions, gRPCOptions
from ray_async.serve.controller.application_state import ApplicationState
from ray_async.serve.controller.grpc_starter import GrpcStarter
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.ingress.body import bodies
from ray_async.serve.ingress.front import Front
from ray_async.serve.ingress.listener import Listener, bind
from ray_async.serve.ingress.tls import check_tls
from ray_async.serve.names import deployment_key
from ray_async.serve.rest.options import RESTOptions
from ray_async.serve.status_values import ApplicationStatus, ApplicationStatusOverview, ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig
from ray_async.serve.telemetry.upkeep import Upkeep

if TYPE_CHECKING:
    from ray_async.serve.rest.server import RestServer

__all__ = ("Controller",)

logger = logging.getLogger("ray_async.serve")
_PERIOD = 0.1  # seconds between two looks at everything
_ROLL_BACK = 10.0  # seconds that a failed deploy has to be taken back before its caller is told


class Controller:
    """Makes what runs equal to what was asked for.

    Args:
        folder: Serve's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.board = Board(self.folder, create=True)
        self._places = list(range(SLOTS - 1, -1, -1))
        self._applications: dict[str, ApplicationState] = {}
        self._http: HTTPOptions | None = None
        self._listener: Listener | None = None
        self._front: Front | None = None
        self._grpc = GrpcStarter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()
        self._loop_task: asyncio.Task[None] | None = None
        self._table: dict[str, Any] = {}
        self._telemetry = Upkeep(self.folder, self.board)
        self._rest: RestServer | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside; the controller holds it, and logs what it raises."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("Serve's controller failed at a step", exc_info=task.exception())

    def take_place(self) -> int:
        """A slot of the board for a new replica."""
        if not self._places:
            raise RayServeException(f"there are {SLOTS} replicas already")
        return self._places.pop()

    def give_place(self, place: int) -> None:
        """Take a slot back."""
        self._places.insert(0, place)

    def changed(self) -> None:
        """Tell callers what has changed, and look at everything soon."""
        self._publish()
        self._change.set()
        for waiter in self._waiters:
            waiter.set()

    def listening(self, serves_http: bool) -> tuple[str | None, dict[str, Any]]:
        """What a replica needs to take HTTP requests."""
        if self._listener is None or not serves_http:
            return None, {}
        return str(self._listener.path), asdict(self._http or HTTPOptions())

    async def start(self, http: HTTPOptions | None, must_match: bool) -> str:
        """Begin to work; with HTTP options, listen.

        Args:
            http: Where to listen; None: nowhere yet.
            must_match: Whether to fail when HTTP is up at another address already.

        Returns:
            A warning: what was ignored since HTTP is up already.

        Raises:
            OSError: The port is taken.
            RayServeException: HTTP is up at another address.
        """
        if self._loop_task is None:
            self._publish()
            self._loop_task = asyncio.get_running_loop().create_task(self._run())
        if http is None:
            return ""
        if self._listener is None:
            check_tls(http)
            self._telemetry.begin(http.metrics)
            listener = Listener(self.folder, bind(http.host, http.port))
            listener.start()
            self._listener, self._http = listener, http
            self._front = Front(listener.socket, asdict(http), self.folder)
            self._change.set()
            return ""
        assert self._http is not None
        current, new = asdict(self._http), asdict(http)
        ignored = [key for key in current if current[key] != new[key] and not (key == "port" and new[key] == 0)]
        if must_match and set(ignored) & {"host", "port"}:
            raise RayServeException(
                f"HTTP is served on {self._http.host}:{self._http.port} already, and cannot be served on "
                f"{http.host}:{http.port} too: call serve.shutdown() first."
            )
        return f"HTTP is up already: ignored are {', '.join(ignored)}." if ignored else ""

    async def configure_telemetry(self, logging: ServeLoggingConfig | None, tracing: TracingConfig | None) -> str:
        """Say how replicas log and trace from now on; those that run go on as they are.

        Returns:
            A warning: what was ignored since something was said already.
        """
        return self._telemetry.configure(logging, tracing)

    async def start_rest(self, options: RESTOptions) -> None:
        """Serve the REST API, if it is not up yet.

        Raises:
            OSError: The port is taken.
        """
        if self._rest is None:
            # What reads configs is no matter of those who do not ask for the API.
            from ray_async.serve.rest.instance import ControllerInstance
            from ray_async.serve.rest.server import RestServer

            self._rest = RestServer(ControllerInstance(self), self.folder, options)
            await self._rest.start()

    async def start_grpc(self, options: gRPCOptions) -> str:
        """Listen for gRPC.

        Returns:
            A warning: that gRPC is up already.

        Raises:
            OSError: The port is taken.
            RayServeException: A service is not there, or grpcio is not installed.
        """
        return await self._grpc.start(options)

    async def deploy_all(self, applications: list[BuiltApplication]) -> None:
        """Want applications from now on; those that an earlier config has declared, and this one does not, go.

        Raises:
            RayServeException: Another application has a route prefix; then nothing is changed.
        """
        names = {built.name for built in applications}
        declares = any(built.declared for built in applications)
        leaving = {name for name in await self.declared() if declares and name not in names}
        for built in applications:
            for name, other in self._applications.items():
                taken = built.route_prefix is not None and other.built.route_prefix == built.route_prefix
                if taken and name not in names | leaving and not other.deleting:
                    raise RayServeException(f"Prefix {built.route_prefix} is being used by application {name!r}.")
        for name in leaving:
            self._leave(name)
        for built in applications:
            self._deploy(built)
        self.changed()

    def _deploy(self, built: BuiltApplication) -> None:
        state = self._applications.get(built.name)
        if state is None or state.deleting:
            state = self._applications[built.name] = ApplicationState(built)
        state.deploy(built, self)

    async def wait_running(self, name: str) -> str | None:
        """Wait until an application runs, or has failed and what ran before runs again.

        Returns:
            None, or why it has failed.
        """
        while True:
            state = self._applications.get(name)
            if state is None:
                return f"application {name!r} was deleted"
            if state.error is not None:
                failure = state.error
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ROLL_BACK):
                        while not state.stable and state.error is not None:
                            await self._wait_for_change()
                return failure
            if state.status is ApplicationStatus.RUNNING:
                return None
            await self._wait_for_change()

    async def delete(self, name: str) -> None:
        """Delete an application, once its requests are done.

        Raises:
            RayServeException: There is none of that name.
        """
        state = self._applications.get(name)
        if state is None:
            raise RayServeException(f"There is no application {name!r}.")
        self._leave(name)
        self.changed()
        while self._applications.get(name) is state:
            await self._wait_for_change()

    def _leave(self, name: str) -> None:
        state = self._applications[name]
        state.deleting = True
        for deployment in (*state.deployments.values(), *state.retired.values()):
            deployment.deleting = True

    async def shutdown(self) -> None:
        """Delete all applications and stop listening."""
        await asyncio.gather(*(self.delete(name) for name in list(self._applications)))
        if self._rest is not None:
            await self._rest.close()
            self._rest = None
        await self._grpc.stop()
        if self._front is not None:
            await self._front.close()
            self._front = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._loop_task is not None:
            self._loop_task.cancel()
        self._telemetry.end()
        for name in ("board", "table.json"):
            (self.folder / name).unlink(missing_ok=True)
        for pattern in ("models-*", "replica-*.sock"):  # of replicas that were killed
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

    async def status(self) -> ServeStatus:
        """The status of all."""
        applications = {
            name: ApplicationStatusOverview(
                state.status,
                state.error or "",
                state.deployed_at,
                {key: deployment.overview() for key, deployment in state.deployments.items()},
                state.built.route_prefix,
            )
            for name, state in self._applications.items()
        }
        address = ":".join(map(str, self._listener.address)) if self._listener is not None else ""
        rest = self._rest
        token = "" if rest is None or rest.token_file is None else str(rest.token_file)
        is_tls = self._http is not None and self._http.ssl_certfile is not None
        return ServeStatus(
            applications, address, self._grpc.address, "" if rest is None else rest.address, token, is_tls
        )

    async def built(self) -> dict[str, BuiltApplication]:
        """What was asked for, by application."""
        return {name: state.built for name, state in self._applications.items() if not state.deleting}

    async def declared(self) -> dict[str, BuiltApplication]:
        """The applications that a config has named."""
        return {
            name: state.built
            for name, state in self._applications.items()
            if state.built.declared and not state.deleting
        }

    async def ingress_of(self, name: str) -> str | None:
        """The name of the deployment that takes an application's requests; None where there is no such application."""
        state = self._applications.get(name)
        return None if state is None or not state.is_there else state.built.ingress

    async def receive_body(self, number: int) -> dict[str, Any]:
        """The next part of a body that comes here, for the replica that runs its request."""
        return await bodies.receive(number)

    async def _wait_for_change(self) -> None:
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            await waiter.wait()
        finally:
            self._waiters.discard(waiter)

    async def _run(self) -> None:
        while True:
            self._change.clear()
            try:
                self._step()
            except Exception:
                logger.exception("Serve's controller failed at a step")
            try:
                async with asyncio.timeout(_PERIOD):
                    await self._change.wait()
            except TimeoutError:
                continue

    def _step(self) -> None:
        if self._front is not None:
            self._front.want(not any(self._serves_http(state) for state in self._applications.values()))
        for name, state in list(self._applications.items()):
            if state.settle():
                self.changed()
            for deployment in [*state.deployments.values(), *state.retired.values()]:
                deployment.step()
            state.retired = {key: one for key, one in state.retired.items() if one.replicas or not one.deleting}
            left = [*state.deployments.values(), *state.retired.values()]
            if state.deleting and not any(deployment.replicas for deployment in left):
                del self._applications[name]
                self.changed()

    def _serves_http(self, state: ApplicationState) -> bool:
        deployments = (*state.deployments.values(), *state.retired.values())
        return any(deployment.serves_http and deployment.running for deployment in deployments)

    def _publish(self) -> None:
        deployments = {}
        for name, state in self._applications.items():
            if not state.is_there:
                continue
            for key, deployment in {**state.retired, **state.deployments}.items():
                options = deployment.spec.options
                deployments[deployment_key(name, key)] = {
                    "max_ongoing_requests": options.max_ongoing_requests,
                    "max_queued_requests": options.max_queued_requests,
                    "access_log": self._telemetry.writes_access(options.logging_config),
                    "replicas": [(replica.name, replica.packed, replica.place) for replica in deployment.running],
                }
        table = {
            "applications": {
                name: {"prefix": state.built.route_prefix, "ingress": state.built.ingress}
                for name, state in self._applications.items()
                if state.is_there
            },
            "deployments": deployments,
        }
        if table != self._table:
            self._table = table
            self.board.publish(table)
