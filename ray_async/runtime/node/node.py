"""The node process: its parts, put together, and their loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async._core import arena as arena_module
from ray_async._core.arena import Arena
from ray_async._core.constants import ProcessKind, RecordKind, RecordState
from ray_async._core.os_process import set_title
from ray_async.config import (
    ACTOR_GRACEFUL_SHUTDOWN_MS,
    FAIL_INFEASIBLE,
    IDLE_WORKER_KILLING_TIME_MS,
    MAX_TASK_WORKERS,
    NUM_WORKERS_SOFT_LIMIT,
    SCHEDULER_SPREAD_THRESHOLD,
    Settings,
)
from ray_async.machine import stack_dump
from ray_async.machine.event_loop import new_event_loop
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.arena_events import ArenaEvents, handlers
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.cancels import Cancels
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.death import descendants
from ray_async.runtime.node.death.death_explainer import Deaths
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.survived_deaths import SurvivedDeaths
from ray_async.runtime.node.depth_limit import DepthLimit
from ray_async.runtime.node.dispatch import LONGEST_TICK_S, Dispatch
from ray_async.runtime.node.drivers import Drivers
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.groups import Groups
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.leases import Leases
from ray_async.runtime.node.listeners import Listeners
from ray_async.runtime.node.logical_nodes import LogicalNodes
from ray_async.runtime.node.memory_monitor import MemoryMonitor
from ray_async.runtime.node.objects.object_locations import ObjectLocations
from ray_async.runtime.node.objects.spilling import Spilling
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.overflow import Overflow
from ray_async.runtime.node.pending_arguments import ArgumentWatch
from ray_async.runtime.node.pending_explainer import PendingExplainer
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.requests.actor_requests import ActorRequests
from ray_async.runtime.node.requests.cluster_requests import ClusterRequests
from ray_async.runtime.node.requests.control import Control
from ray_async.runtime.node.requests.group_requests import GroupRequests
from ray_async.runtime.node.requests.key_values import KeyValues
from ray_async.runtime.node.requests.node_requests import NodeRequests
from ray_async.runtime.node.requests.session_requests import SessionRequests
from ray_async.runtime.node.requests.state_requests import StateRequests
from ray_async.runtime.node.requests.statistics import Statistics
from ray_async.runtime.node.requests.timeline import Timeline
from ray_async.runtime.node.scheduler_instructions import SchedulerInstructions
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.task_history import TaskHistory
from ray_async.runtime.node.task_listing import TaskListing
from ray_async.runtime.node.task_names import TaskNames
from ray_async.runtime.node.tasks import Tasks
from ray_async.runtime.node.worker_lifecycle import WorkerLifecycle
from ray_async.runtime.node.workers import Workers
from ray_async.runtime.scheduler import events
from ray_async.runtime.scheduler.scheduler import Scheduler
from ray_async.runtime.scheduler.settings import SchedulerSettings
from ray_async.runtime.start import node_control
from ray_async.runtime.start.early_end import forbid_early_end
from ray_async.runtime.start.node_entry import start_zygote

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig
    from ray_async.runtime.node.cluster_link import ClusterLink

__all__ = ("Node", "run_node")

_logger = logging.getLogger("ray_async.node")

#: Seconds between looks at everything: while things happen, and while something runs for long. While nothing does, they
#: grow to `LONGEST_TICK_S`: an idle session is to cost nothing.
TICK_S, WORKING_TICK_S = 0.5, 2.0


def run_node(
    arena: Arena,
    zygote: socket.socket,
    zygote_pid: int,
    config: NodeConfig,
    on_ready: Callable[[], None] | None = None,
) -> None:
    """Be the node until the session ends; ``on_ready`` is called once processes can connect."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    set_title(b"ray::node")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    forbid_early_end()
    stack_dump.take_requests(config["session_dir"])
    loop = new_event_loop(Settings(config.get("system_config") or {}))
    asyncio.set_event_loop(loop)
    node = Node(arena, zygote, zygote_pid, config, on_ready)
    code = 1
    try:
        loop.run_until_complete(node.run())
        code = 0
    except Exception:
        _logger.exception("the node ends because of an error of its own")
    finally:
        node.clean_up()
        logging.shutdown()
        # The interpreter's own end takes longer than all of the above, and there is nothing left for it to do.
        os._exit(code)


class Node:
    """The node process: makes its parts, gives each what it needs of the others, and runs their loop.

    Args:
        arena: the session's shared memory.
        zygote: socket to the zygote; ``zygote_pid`` its pid.
        config: what the driver (or the command line) wants of the node.
        on_ready: called once processes can connect.
    """

    def __init__(
        self,
        arena: Arena,
        zygote: socket.socket,
        zygote_pid: int,
        config: NodeConfig,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._on_ready = on_ready
        self._stop = asyncio.Event()
        self._busy = True
        self._n_events = 0
        arena.join(ProcessKind.NODE)
        arena_module.set_current(arena)
        self._settings = Settings(config.get("system_config") or {})
        self._views = ArenaViews(arena)
        self._processes = self._views.processes
        self._environments = Environments()
        self._listeners = Listeners()
        self._survived = SurvivedDeaths(self._listeners.report_survived, self._settings)
        self._cluster = NodeMembership()
        self._dispatch = Dispatch(
            Scheduler(scheduler_settings(self._settings)),
            carry_out=lambda instruction: self._instructions.carry_out(instruction),
            refresh=lambda: self._classes.report_all(),
        )
        self._make_workers(zygote, zygote_pid)
        self._make_listings()
        self._make_work()
        self._make_places()
        self._control = self._make_control()

    def _make_workers(self, zygote: socket.socket, zygote_pid: int) -> None:
        self._workers = Workers(
            self._processes,
            self._settings,
            zygote,
            zygote_pid,
            on_end=lambda worker, status: self._lifecycle.ended(worker, status),
            on_failed=lambda worker, reason: self._lifecycle.start_failed(worker, reason),
            on_output=self._listeners.broadcast,
            on_warning=self._listeners.warn,
            start_zygote=lambda: start_zygote(self._views.arena, self._config),
            on_zygote_death=self._zygotes_die,
        )

    def _make_listings(self) -> None:
        """What the others are known by: tables, names, rows."""
        config, views, workers = self._config, self._views, self._workers
        self._table = ActorTable(views.arena, views.objects, self._name_freed)
        self._names = TaskNames(views.records)
        self._deaths = Deaths(workers, self._table, self._names, config["node_ip"])
        self._rows = StateRows(views.processes, views.objects, workers, config["node_ip"])
        ring = config["session_dir"] if config.get("task_history") else None
        self._history = TaskHistory(workers, self._table, self._rows, ring)
        self._listing = TaskListing(views, self._names, workers, self._table, self._rows, self._history)

    def _make_work(self) -> None:
        """What waits and runs: groups, actors, tasks and their classes."""
        views, dispatch, workers, cluster = self._views, self._dispatch, self._workers, self._cluster
        self._failures = RecordFailures(views, self._listing, self._history)
        self._overflow = Overflow(views.processes)
        arguments = ArgumentWatch(views.executor, views.waiter, cluster)
        self._groups = Groups(dispatch, views.objects, self._environments, cluster)
        self._actors = Actors(
            self._table,
            views,
            dispatch,
            workers,
            failures=self._failures,
            arguments=arguments,
            environments=self._environments,
            survived=self._survived,
            cluster=cluster,
            grace_s=self._settings.get(ACTOR_GRACEFUL_SHUTDOWN_MS) / 1000,
            on_detached_end=self._groups.actor_ended,
            on_detached_gone=lambda job: self._drivers.end_job(job),
        )
        self._tasks = Tasks(
            views,
            self._settings,
            dispatch,
            workers,
            names=self._names,
            failures=self._failures,
            arguments=arguments,
            rows=self._rows,
            survived=self._survived,
            cluster=cluster,
            may_restart=self._table.may_restart,
            node_ip=self._config["node_ip"],
        )
        self._cancels = Cancels(views.arena, self._failures.cancelled)
        self._classes = Classes(
            views.processes,
            views.records,
            dispatch,
            workers,
            overflow=self._overflow,
            failures=self._failures,
            environments=self._environments,
            cluster=cluster,
            is_group_removed=self._groups.is_removed,
        )
        self._leases = Leases(views.processes, dispatch, workers, self._classes, self._actors)

    def _make_places(self) -> None:
        """What work needs: memory, nodes, drivers, and workers that are up."""
        config, views, dispatch, workers = self._config, self._views, self._dispatch, self._workers
        self._spilling = Spilling(
            views,
            self._settings,
            config["spill_path"],
            dispatch,
            self._cluster,
            warn=self._listeners.warn,
            run_again=self._tasks.waiting,
        )
        self._memory = MemoryMonitor(views.processes, workers, self._settings)
        self._depth = DepthLimit(views.processes, views.records, workers, self._failures)
        self._locations = ObjectLocations(config["node_id"], self._spilling.lose_copies)
        self._logical_nodes = LogicalNodes(config, dispatch, workers, self._locations)
        self._drivers = Drivers(
            config,
            views.arena,
            self._environments,
            workers,
            self._table,
            (self._tasks, self._actors, self._groups, self._cluster),
            on_leave=self._driver_leaves,
            on_end=views.processes.reap,
            stop=self._stop.set,
        )
        self._lifecycle = WorkerLifecycle(
            views.processes,
            dispatch,
            workers,
            self._classes,
            self._actors,
            self._tasks,
            environments=self._environments,
            deaths=self._deaths,
            rows=self._rows,
            locations=self._locations,
            listeners=self._listeners,
            labels=config.get("labels") or {},
        )
        self._instructions = SchedulerInstructions(
            self._lifecycle,
            self._leases,
            self._classes,
            self._actors,
            self._groups,
            listeners=self._listeners,
            depth=self._depth,
            cluster=self._cluster,
        )
        self._events = ArenaEvents(
            handlers(
                self._classes,
                self._tasks,
                self._overflow,
                self._leases,
                self._actors,
                self._spilling,
                self._lifecycle.up,
            )
        )

    def _make_control(self) -> Control:
        """The operations that processes may ask for."""
        processes, report = self._processes, self._dispatch.report
        session = SessionRequests(
            self._drivers, self._workers, self._listeners, self._cancels, self._lifecycle.fail_environment
        )
        actors = ActorRequests(self._table, self._actors, self._views.objects, self._cluster)
        groups = GroupRequests(
            self._groups, self._table, self._views.objects, self._drivers, self._environments, self._cluster
        )
        explainer = PendingExplainer(self._views, report, self._names, self._workers, self._classes, self._table)
        state = StateRequests(self._listing, self._history, self._rows, self._table, explainer, self._cluster)
        nodes = NodeRequests(
            self._logical_nodes,
            self._locations,
            report,
            self._classes,
            processes,
            self._cluster,
            self._config["node_id"],
        )
        statistics = Statistics(
            processes, self._workers, self._classes, self._environments, self._history, self._events.counts
        )
        timeline = Timeline(self._config)
        cluster = ClusterRequests(self._make_link, lambda answers, notices: self._control.add(answers, notices))
        values = KeyValues().answers(lambda op, message: self._cluster.others.key_value(op, message))
        asked = (session, actors, groups, state, nodes, statistics, timeline, cluster)
        return Control(
            (values, *(part.answers for part in asked)),
            (part.notices for part in (session, actors, state, timeline)),
            (self._listeners.discard, actors.lost, lambda peer: self._cluster.others.peer_lost(peer)),
        )

    def _make_link(self) -> ClusterLink:
        """The link to other nodes; what only a cluster needs is loaded when an agent joins the node to one."""
        from ray_async.runtime.node.cluster_link import ClusterLink

        link = ClusterLink(
            self._config,
            self._views,
            self._dispatch,
            classes=self._classes,
            tasks=self._tasks,
            actors=self._actors,
            table=self._table,
            groups=self._groups,
            spilling=self._spilling,
            failures=self._failures,
            deaths=self._deaths,
            drivers=self._drivers,
            environments=self._environments,
            nodes=self._logical_nodes,
            listeners=self._listeners,
        )
        self._cluster.others = link
        return link

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the session is to end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_reader(self._views.waiter.fileno(), self._wake)
        self._add_head()
        self._adopt_prestarted()
        self._workers.start()
        self._recognize_first_lease()
        await self._control.start(
            (self._config.get("control_fd", -1), self._config.get("listen_fd", -1)),
            os.path.join(self._config["session_dir"], "node.sock"),
        )
        self._look_at_everything()
        self._wake()
        if self._on_ready is not None:
            self._on_ready()
        ticker = asyncio.create_task(self._tick_for_ever())
        try:
            await self._stop.wait()
        finally:
            ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await ticker
            self._processes.down()
            self._processes.wake_all()
            self._workers.drain()
            self._survived.flush()
            await self._listeners.flush()
            self._control.close()

    def _add_head(self) -> None:
        self._dispatch.schedule(
            events.NodeAdded(self._config["node_id"], self._config["resources"], self._config.get("labels") or {})
        )
        job = self._config.get("job")
        if job is not None:
            self._environments.add_job(job)
            self._drivers.add(job["id"], self._config["driver_pid"], self._config["driver_slot"], owns_node=True)

    def _adopt_prestarted(self) -> None:
        """Workers that the zygote forked by itself. The driver may have given one its first lease already."""
        for request in self._config.get("prestart", []):
            self._processes.close_first_lease(request["slot"])
            self._workers.adopt(request["slot"], self._config["node_id"], request["env_key"], request["job"]["id"])

    def _recognize_first_lease(self) -> None:
        """Have the scheduler lease what the driver has leased already, before it gets events of other workers."""
        for request in self._config.get("prestart", []):
            if self._processes.leased_class(request["slot"]):
                self._lifecycle.up(request["slot"])

    def clean_up(self) -> None:
        """End all processes and remove the session's files."""
        for worker in list(self._workers.by_slot.values()):
            self._workers.kill(worker, DeathCause.SESSION_ENDED)
            if worker.pid:
                descendants.end_group(worker.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._workers.zygote_pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._workers.zygote_pid, 0)
        descendants.end_all()
        self._spilling.remove_files()
        node_control.unregister_node(os.getpid())
        shutil.rmtree(self._config["session_dir"], ignore_errors=True)

    async def _tick_for_ever(self) -> None:
        pause = TICK_S
        while True:
            seen = self._n_events
            await asyncio.sleep(pause)
            self._busy = self._n_events != seen
            longest = WORKING_TICK_S if self._memory.anyone_works() else LONGEST_TICK_S
            pause = TICK_S if self._busy else min(2 * pause, longest)
            self._tick()

    def _tick(self) -> None:
        for part in (
            self._workers,
            self._overflow,
            self._tasks,
            self._cancels,
            self._actors,
            self._drivers,
            self._spilling,
            self._memory,
            self._depth,
            self._survived,
            self._classes,
        ):
            guarded(part.tick)
        for message in self._workers.pump.take_progress():
            self._listeners.broadcast(message)
        self._dispatch.tick()

    # -- events of the arena -------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._views.waiter.on_readable()
        found, lost = self._processes.events()
        self._n_events += len(found)
        if lost:
            self._look_at_everything()
        self._events.deliver(found)
        if len(found) >= 4096:
            asyncio.get_running_loop().call_soon(self._wake)
        elif found:
            # Events that came while these were handled sent no datagram if the waiter was not armed yet.
            asyncio.get_running_loop().call_soon(self._wake)

    def _look_at_everything(self) -> None:
        """Events were lost, or came before there was a node."""
        self._classes.learn_all()
        for record in self._views.records.find_records(state=RecordState.WAITING):
            facts = self._views.executor.facts(record)
            if facts["kind"] == RecordKind.TASK:
                guarded(self._tasks.waiting, record)

    # -- what parts report ---------------------------------------------------------------------------------------------

    def _driver_leaves(self, job: int) -> None:
        """A driver is about to go: let it have all lines that concern it."""
        self._survived.flush()
        self._listeners.end(job)

    def _name_freed(self, offset: int, name: str, namespace: str) -> None:
        """An actor has lost its name, which the cluster may give to another one."""
        self._cluster.others.name_freed(offset, name, namespace)

    def _zygotes_die(self) -> None:
        _logger.error("zygotes die one after the other; the session ends")
        self._listeners.warn("the process that forks workers dies whenever it is started; the session ends")
        self._stop.set()


def scheduler_settings(settings: Settings) -> SchedulerSettings:
    """The scheduler's share of the settings."""
    return SchedulerSettings(
        spread_threshold=settings.get(SCHEDULER_SPREAD_THRESHOLD),
        soft_worker_limit=max(0, settings.get(NUM_WORKERS_SOFT_LIMIT)),
        worker_idle_s=settings.get(IDLE_WORKER_KILLING_TIME_MS) / 1000,
        fail_infeasible=settings.get(FAIL_INFEASIBLE),
        max_task_workers=max(1, settings.get(MAX_TASK_WORKERS)),
    )
