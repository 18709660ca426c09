"""The controller: carries out what is decided, and answers `serve.run` and `serve.status`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async.serve.application import BuiltApplication, ConfigSettings
from ray_async.serve.board import SLOTS, Board
from ray_async.serve.config import ControllerOptions, HTTPOptions, gRPCOptions
from ray_async.serve.controller.application_state import ApplicationState
from ray_async.serve.controller.controller_actor import ControllerActor
from ray_async.serve.controller.deployment_state import DeploymentState
from ray_async.serve.controller.grpc_starter import GrpcStarter
from ray_async.serve.controller.journal import Journal
from ray_async.serve.controller.listening import Listening
from ray_async.serve.controller.records import ControllerRecord
from ray_async.serve.controller.remains import clear, end_actors
from ray_async.serve.controller.reservation import remove_rooms
from ray_async.serve.controller.rest_starter import RestStarter
from ray_async.serve.exceptions import DeploymentUnavailableError, ExternalScalerDisabledError, RayServeException
from ray_async.serve.ingress.body import bodies
from ray_async.serve.ingress.tls import check_tls
from ray_async.serve.names import DEPLOYMENT_ACTOR_PREFIX, REPLICA_PREFIX, deployment_key
from ray_async.serve.rest.options import RESTOptions
from ray_async.serve.status_values import ApplicationStatus, ApplicationStatusOverview, ProxyStatus, ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.status_counts import StatusCounts
from ray_async.serve.telemetry.tracing_config import TracingConfig
from ray_async.serve.telemetry.upkeep import Upkeep
from ray_async.serve.waiting import Tallies
from ray_async.util.node_address import get_node_ip_address

__all__ = ("Controller",)

logger = logging.getLogger("ray_async.serve")
_PERIOD = 0.1  # seconds between two looks at everything
_ROLL_BACK = 10.0  # seconds that a failed deploy has to be taken back before its caller is told


class Controller(ControllerActor):
    """Makes what runs equal to what was asked for; begins with what an earlier controller has written down.

    Args:
        folder: Serve's folder.
        options: How it was to run; None where nothing was said.
    """

    def __init__(self, folder: str, options: ControllerOptions | None = None) -> None:
        self.folder = Path(folder)
        self._options = options or ControllerOptions()
        self.board = Board(self.folder, create=True)
        self._journal = Journal(self.folder)
        self._places: list[int] = []
        self._applications: dict[str, ApplicationState] = {}
        self.listening = Listening(self.folder, self.spawn)
        self.tallies = Tallies(self.folder)
        self._statuses: StatusCounts | None = None  # once somebody wants metrics
        self._address = ""  # of the node, likewise
        self.telemetry = Upkeep(self.folder, self.board)
        self._grpc = GrpcStarter()
        self._rest = RestStarter(self.folder, self)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._change = asyncio.Event()
        self._waiters: set[asyncio.Event] = set()
        self._table: dict[str, Any] = {}
        self.capacity: float | None = None  # percent of all replicas; None: all
        self._over = False
        self._recover(self._journal.read() or ControllerRecord())
        self._loop_task = asyncio.get_running_loop().create_task(self._run())

    def _recover(self, record: ControllerRecord) -> None:
        self._without_http, self.capacity = record.without_http, record.capacity
        if record.http is not None and record.address is not None:
            self.telemetry.begin(record.http.metrics)
            self.listening.recover(record.http, record.address)
        if record.grpc is not None:
            self._grpc.packed = record.grpc
            self.spawn(self._grpc.recover(record.grpc))
        if record.rest is not None:
            self._rest.options = record.rest
            self.spawn(self._rest.recover(record.rest))
        for one in record.applications:
            self._applications[one.built.name] = ApplicationState.recovered(one, self)
        replicas = [replica for one in self._deployments() for replica in one.replicas.values()]
        places = {replica.place for replica in replicas}
        self._places = [place for place in range(SLOTS - 1, -1, -1) if place not in places]
        for place in self._places:
            self.board.clear(place)
        names = {replica.name for replica in replicas}
        names.update(*(one.actor_names for one in self._deployments()))
        end_actors(lambda name: name.startswith((REPLICA_PREFIX, DEPLOYMENT_ACTOR_PREFIX)) and name not in names)
        rooms = {name for one in self._deployments() for name in one.room_names}
        remove_rooms(lambda name: name not in rooms)
        if record.applications:
            logger.warning("Serve's controller has recovered %d replicas.", len(replicas))
        self.changed()

    def commit(self) -> None:
        """Write down what is known, before anything follows from it."""
        if self._over:
            return
        record = ControllerRecord(
            self.listening.http,
            self.listening.address,
            tuple(state.record() for state in self._applications.values()),
            self._grpc.packed,
            self._rest.options,
            self._without_http,
            self.capacity,
        )
        try:
            self._journal.write(record)
        except OSError:
            logger.exception("Serve's controller cannot write its journal: a new controller would not know of changes")

    def _deployments(self) -> list[DeploymentState]:
        states = self._applications.values()
        return [one for state in states for one in (*state.deployments.values(), *state.retired.values())]

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
        """Note and tell callers what has changed, and look at everything soon."""
        self._give_prefixes()
        self.commit()
        self._publish()
        self._change.set()
        for waiter in self._waiters:
            waiter.set()

    def _give_prefixes(self) -> None:
        """Let each prefix lead to one application: to the one that has it, until that goes."""
        living = [state for state in self._applications.values() if not state.deleting]
        for state in living:
            if state.prefix != state.built.route_prefix:
                state.prefix = None
        taken = {state.prefix for state in living}
        for state in living:
            wanted = state.built.route_prefix
            if state.prefix is None and wanted not in taken:
                state.prefix = wanted
                taken.add(wanted)

    async def start(self, http: HTTPOptions | None, must_match: bool) -> str:
        """Begin to work; with HTTP options, listen.

        Args:
            http: Where to listen; None: nowhere yet.
            must_match: Whether to fail when HTTP is up at another address already.

        Returns:
            A warning: what was ignored since HTTP is up already.

        Raises:
            OSError: The port is taken.
            RayServeException: HTTP is up at another address, or Serve was started without it and applications run.
        """
        if http is None:
            return ""
        running = self.listening.http
        if running is None:
            if self._without_http and self._applications:
                raise RayServeException(
                    "Serve was started without HTTP, and what runs cannot take it: call serve.shutdown() first."
                )
            self._without_http = False
            check_tls(http)
            self.telemetry.begin(http.metrics)
            self.listening.begin(http)
            self.commit()
            self._change.set()
            return ""
        current, new = asdict(running), asdict(http)
        ignored = [key for key in current if current[key] != new[key] and not (key == "port" and new[key] == 0)]
        if must_match and set(ignored) & {"host", "port"}:
            raise RayServeException(
                f"HTTP is served on {running.host}:{running.port} already, and cannot be served on "
                f"{http.host}:{http.port} too: call serve.shutdown() first."
            )
        return f"HTTP is up already: ignored are {', '.join(ignored)}." if ignored else ""

    async def start_by_default(self) -> str:
        """Listen for HTTP at the default address, unless Serve was started without HTTP.

        Returns:
            A warning: what was ignored since HTTP is up already.

        Raises:
            OSError: The port is taken.
        """
        return "" if self._without_http else await self.start(HTTPOptions(), False)

    async def differs(self, options: ControllerOptions) -> str:
        """A warning, where it was created with other options; else nothing."""
        return "" if options == self._options else "Serve's controller runs already: ignored are controller_options."

    async def do_without_http(self) -> None:
        """Listen for HTTP only when an address is named."""
        self._without_http = True
        self.commit()

    async def configure_telemetry(self, logging: ServeLoggingConfig | None, tracing: TracingConfig | None) -> str:
        """Say how replicas log and trace from now on; those that run go on as they are.

        Returns:
            A warning: what was ignored since something was said already.
        """
        return self.telemetry.configure(logging, tracing)

    async def start_rest(self, options: RESTOptions) -> None:
        """Serve the REST API, if it is not up yet.

        Raises:
            OSError: The port is taken.
        """
        await self._rest.start(options)
        self.commit()

    async def start_grpc(self, options: gRPCOptions) -> str:
        """Listen for gRPC.

        Returns:
            A warning: that gRPC is up already.

        Raises:
            OSError: The port is taken.
            RayServeException: A service is not there, or grpcio is not installed.
        """
        warning = await self._grpc.start(options)
        self.commit()
        return warning

    async def deploy_all(self, applications: list[BuiltApplication], settings: ConfigSettings | None = None) -> None:
        """Want applications from now on; those that an earlier config has declared, and this one does not, go.

        One whose prefix goes to an application of the new config serves until that one runs.

        Args:
            applications: The applications.
            settings: What a config says beside; None: nothing, and what an earlier one has said stays.

        Raises:
            RayServeException: Another application has a route prefix; then nothing is changed.
        """
        names = {built.name for built in applications}
        declares = any(built.declared for built in applications)
        leaving = {name for name in await self.declared() if declares and name not in names}
        for built in applications:
            for name, other in self._applications.items():
                taken = built.route_prefix is not None and other.built.route_prefix == built.route_prefix
                if taken and name not in names | leaving and not other.deleting and other.successor is None:
                    raise RayServeException(f"Prefix {built.route_prefix} is being used by application {name!r}.")
        if settings is not None:
            self._set_capacity(settings.target_capacity)
        heirs = {built.route_prefix: built.name for built in applications if built.route_prefix is not None}
        for name in leaving:
            heir = heirs.get(self._applications[name].prefix or "")
            if heir is None:
                self._leave(name)
            else:
                self._applications[name].successor = heir
        for built in applications:
            state = self._applications.setdefault(built.name, ApplicationState(built))
            state.deploy(built, self)
        self.changed()

    def _set_capacity(self, capacity: float | None) -> None:
        self.capacity = capacity
        for deployment in self._deployments():
            deployment.scaler.set_capacity(capacity)

    async def scale(self, app: str, deployment: str, number: int) -> None:
        """Want a number of replicas of a deployment whose application is scaled from outside.

        Raises:
            DeploymentUnavailableError: There is no such deployment.
            ExternalScalerDisabledError: Its application is not scaled from outside.
        """
        state = self._applications.get(app)
        found = None if state is None or not state.is_there else state.deployments.get(deployment)
        if state is None or found is None:
            raise DeploymentUnavailableError(f"There is no deployment {deployment!r} in application {app!r}.")
        if not state.built.external_scaler:
            raise ExternalScalerDisabledError(app)
        found.scaler.scale(number)
        self.changed()

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
        """Delete an application, once its requests are done; nothing where there is none."""
        state = self._applications.get(name)
        if state is None:
            return
        self._leave(name)
        self.changed()
        while self._applications.get(name) is state and state.deleting:
            await self._wait_for_change()

    def _leave(self, name: str) -> None:
        state = self._applications[name]
        state.deleting, state.successor = True, None
        state.settle()  # at once: what comes from now on is not taken any more

    async def shutdown(self) -> None:
        """Delete all applications and stop listening."""
        await asyncio.gather(*(self.delete(name) for name in list(self._applications)))
        await self._rest.stop()
        await self._grpc.stop()
        await self.listening.close()
        self._over = True
        self._loop_task.cancel()
        self.telemetry.end()
        clear(self.folder)

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
        address = ":".join(map(str, self.listening.address or ()))
        http, rest = self.listening.http, self._rest
        return ServeStatus(
            applications,
            address,
            grpc_address=self._grpc.address,
            rest_address=rest.address,
            rest_token_file=rest.token_file,
            is_tls=http is not None and http.ssl_certfile is not None,
            target_capacity=self.capacity,
            proxies=self._proxies(),
            http_accepted_by=self.listening.accepted_by,
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

    async def has(self, name: str) -> bool:
        """Whether there is an application of a name."""
        return name in self._applications

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
            began = time.monotonic()
            try:
                self._step()
                self._count(time.monotonic() - began)
            except Exception:
                logger.exception("Serve's controller failed at a step")
            try:
                async with asyncio.timeout(_PERIOD):
                    await self._change.wait()
            except TimeoutError:
                continue

    def _count(self, seconds: float) -> None:
        """Note statuses for the page of metrics, if somebody wants that."""
        counts = self.telemetry.counts
        if counts is None:
            return
        if self._statuses is None:
            self._statuses, self._address = StatusCounts(counts), get_node_ip_address()
        self._statuses.note(
            {(name,): state.status for name, state in self._applications.items()},
            {
                (name, key): one.overview().status
                for name, state in self._applications.items()
                for key, one in state.deployments.items()
            },
            {(node, self._address): status for node, status in self._proxies().items()},
        )
        self._statuses.looked(seconds)

    def _proxies(self) -> dict[str, ProxyStatus]:
        """What takes HTTP requests, by its node."""
        return {ray.get_runtime_context().get_node_id(): ProxyStatus.HEALTHY} if self.listening.address else {}

    def _step(self) -> None:
        http = [one for one in self._deployments() if one.serves_http]
        self.listening.want_front(not any(one.running for one in http), kept=any(one.may_be_at_zero for one in http))
        for name, state in list(self._applications.items()):
            if self._is_succeeded(state):
                self._leave(name)
                self.changed()
            if state.settle():
                self.changed()
            state.scale(self)
            for deployment in [*state.deployments.values(), *state.retired.values()]:
                deployment.step()
            state.retired = {key: one for key, one in state.retired.items() if one.lives or not one.deleting}
            left = [*state.deployments.values(), *state.retired.values()]
            if state.deleting and not any(one.lives or not one.deleting for one in left):
                del self._applications[name]
                self.changed()

    def _is_succeeded(self, state: ApplicationState) -> bool:
        """Whether an application goes now, since another one runs that gets its prefix."""
        heir = None if state.successor is None else self._applications.get(state.successor)
        if heir is None or heir.deleting:
            state.successor = None
            return False
        return heir.status is ApplicationStatus.RUNNING

    def _publish(self) -> None:
        table = {
            "applications": {
                name: {"prefix": state.prefix, "ingress": state.built.ingress}
                for name, state in self._applications.items()
                if state.is_there
            },
            "deployments": {
                deployment_key(name, key): one.entry()
                for name, state in self._applications.items()
                for key, one in state.reachable.items()
            },
        }
        if table != self._table:
            self._table = table
            self.board.publish(table)
