"""The node process: its loop, and the way from events to instructions to actions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import arena as arena_module
from ray_async._core import execution, submission
from ray_async._core.constants import ProcessKind, RecordKind, RecordState
from ray_async._core.loop_waiter import LoopWaiter
from ray_async._core.node_view import NodeView
from ray_async._core.object_view import ObjectView
from ray_async._core.process import set_title
from ray_async._core.record_view import RecordView
from ray_async.config import (
    FAIL_INFEASIBLE,
    IDLE_WORKER_KILLING_TIME_MS,
    MAX_TASK_WORKERS,
    NUM_WORKERS_SOFT_LIMIT,
    SCHEDULER_SPREAD_THRESHOLD,
    Settings,
)
from ray_async.ids import TaskID
from ray_async.machine import stack_dump
from ray_async.machine.event_loop import new_event_loop
from ray_async.machine.exit_status import ExitStatus
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.arena_events import ArenaEvents
from ray_async.runtime.node.cancels import Cancels
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.death import descendants
from ray_async.runtime.node.death.death_explainer import DeathExplainer
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.failed_starts import FailedStarts
from ray_async.runtime.node.death.survived_deaths import SurvivedDeaths
from ray_async.runtime.node.depth_limit import DepthLimit
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
from ray_async.runtime.node.pending_explainer import PendingExplainer
from ray_async.runtime.node.requests.control import Control
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.task_history import TaskHistory
from ray_async.runtime.node.task_listing import TaskListing
from ray_async.runtime.node.tasks import Tasks
from ray_async.runtime.node.workers import WorkerProcess, Workers
from ray_async.runtime.scheduler import events, instructions
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

#: Seconds between looks at everything: while things happen, while something runs for long, while nothing does. An idle
#: session is to cost nothing.
TICK_S, WORKING_TICK_S, LONGEST_TICK_S = 0.5, 2.0, 4.0


_STOP_CAUSES = {
    instructions.StopReason.IDLE: DeathCause.SPARE,
    instructions.StopReason.OTHER_ENVIRONMENT: DeathCause.SPARE,
    instructions.StopReason.NODE_REMOVED: DeathCause.NODE_DIED,
    instructions.StopReason.ACTOR_ENDED: DeathCause.ACTOR_ENDED,
}


def run_node(
    arena: Any,
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
    """All parts of the node process, and what connects them.

    Args:
        arena: the session's shared memory.
        zygote: socket to the zygote; ``zygote_pid`` its pid.
        config: what the driver (or the command line) wants of the node.
        on_ready: called once processes can connect.
    """

    def __init__(
        self,
        arena: Any,
        zygote: socket.socket,
        zygote_pid: int,
        config: NodeConfig,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self.arena = arena
        self.config = config
        self.settings = Settings(config.get("system_config") or {})
        arena.join(ProcessKind.NODE)
        arena_module.set_current(arena)
        self.waiter = LoopWaiter(arena)
        self.view = NodeView(arena, self.waiter.index)
        self.records = RecordView(arena)
        self.objects = ObjectView(arena)
        self.executor = execution.Executor(arena, None, None)
        self.scheduler = Scheduler(scheduler_settings(self.settings))
        self.environments = Environments()
        self.failed_starts = FailedStarts()
        self.workers = Workers(
            self.view,
            self.settings,
            zygote,
            zygote_pid,
            on_end=self._worker_ended,
            on_failed=self._worker_failed,
            on_output=lambda message: self.listeners.broadcast(message),
            on_warning=lambda text: self.listeners.warn(text),
            start_zygote=lambda: start_zygote(arena, config),
            on_zygote_death=self._zygotes_die,
        )
        self.tasks = Tasks(self)
        self.cancels = Cancels(self)
        self.explainer = PendingExplainer(self)
        self.actors = Actors(self)
        self.groups = Groups(self)
        self.spilling = Spilling(self)
        self.memory = MemoryMonitor(self)
        self.drivers = Drivers(self)
        self.logical_nodes = LogicalNodes(self)
        self.copies = ObjectLocations(self)
        self.depth = DepthLimit(self)
        self.listing = StateRows(self)
        self.history = TaskHistory(self)
        self.task_listing = TaskListing(self)
        self.listeners = Listeners()
        self.control = Control(self)
        self.survived = SurvivedDeaths(self.listeners.tell_job, self.settings)
        self.classes = Classes(self)
        self.leases = Leases(self)
        self._on_ready = on_ready
        self._stop = asyncio.Event()
        self._busy = True
        self._n_events = 0
        self._timer: asyncio.TimerHandle | None = None
        self.events = ArenaEvents(self)
        self.cluster: ClusterLink | None = None  # once an agent has joined this node to others

    # -- life ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until the session is to end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_reader(self.waiter.fileno(), self._wake)
        self._add_head()
        self._adopt_prestarted()
        self.workers.start()
        self._recognize_first_lease()
        await self.control.start()
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
            self.view.down()
            self.view.wake_all()
            self.workers.drain()
            self.survived.flush()
            await self.listeners.flush()
            self.control.close()

    def stop(self) -> None:
        """End the session."""
        self._stop.set()

    def _add_head(self) -> None:
        self.schedule(
            events.NodeAdded(self.config["node_id"], self.config["resources"], self.config.get("labels") or {})
        )
        job = self.config.get("job")
        if job is not None:
            self.environments.add_job(job)
            self.drivers.add(job["id"], self.config["driver_pid"], self.config["driver_slot"], owns_node=True)

    def _adopt_prestarted(self) -> None:
        """Workers that the zygote forked by itself. The driver may have given one its first lease already."""
        for request in self.config.get("prestart", []):
            self.view.close_first_lease(request["slot"])
            self.workers.adopt(request["slot"], self.config["node_id"], request["env_key"], request["job"]["id"])

    def _recognize_first_lease(self) -> None:
        """Have the scheduler give the worker that the driver has leased to that class, before it hears of others."""
        for request in self.config.get("prestart", []):
            if self.view.leased_class(request["slot"]):
                self.worker_up(request["slot"])

    def clean_up(self) -> None:
        """End all processes and remove the session's files."""
        for worker in list(self.workers.by_slot.values()):
            self.workers.kill(worker, DeathCause.SESSION_ENDED)
            if worker.pid:
                descendants.end_group(worker.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.workers.zygote_pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.workers.zygote_pid, 0)
        descendants.end_all()
        self.spilling.remove_files()
        node_control.unregister_node(os.getpid())
        shutil.rmtree(self.config["session_dir"], ignore_errors=True)

    async def _tick_for_ever(self) -> None:
        pause = TICK_S
        while True:
            seen = self._n_events
            await asyncio.sleep(pause)
            self._busy = self._n_events != seen
            longest = WORKING_TICK_S if self.memory.anyone_works() else LONGEST_TICK_S
            pause = TICK_S if self._busy else min(2 * pause, longest)
            self._tick()

    def _tick(self) -> None:
        for part in (
            self.workers,
            self.tasks,
            self.cancels,
            self.actors,
            self.drivers,
            self.spilling,
            self.memory,
            self.depth,
            self.survived,
            self.classes,
        ):
            guarded(part.tick)
        for message in self.workers.pump.take_progress():
            self.listeners.broadcast(message)
        self.classes.tell_all()
        guarded(self.schedule, events.Tick())

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call something in a while."""
        asyncio.get_running_loop().call_later(seconds, action)

    # -- events of the arena -------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self.waiter.on_readable()
        found, lost = self.view.events()
        self._n_events += len(found)
        if lost:
            self._look_at_everything()
        self.events.deliver(found)
        if len(found) >= 4096:
            asyncio.get_running_loop().call_soon(self._wake)
        elif found:
            # Events that came while these were handled sent no datagram if the waiter was not armed yet.
            asyncio.get_running_loop().call_soon(self._wake)

    def _look_at_everything(self) -> None:
        """Events were lost, or came before there was a node."""
        self.classes.learn_all()
        for record in self.records.find_records(state=RecordState.WAITING):
            facts = self.executor.facts(record)
            if facts["kind"] == RecordKind.TASK:
                guarded(self.tasks.waiting, record)

    def schedule(self, event: Any) -> None:
        """Hand an event to the scheduler and carry out what it wants."""
        for instruction in self.scheduler.handle(event, time.monotonic()):
            guarded(self._carry_out, instruction, what=f"instruction {instruction}")
        self._set_timer()

    def _set_timer(self) -> None:
        due = self.scheduler.next_wakeup()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.0, due - time.monotonic())
            if delay < LONGEST_TICK_S:
                self._timer = asyncio.get_event_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.classes.tell_all()
        self.schedule(events.Tick())

    def idle(self, slot: int) -> None:
        """A worker has found its class's queue empty."""
        worker = self.workers.by_slot.get(slot)
        if worker is not None and worker.lease in self.classes:
            self.classes.tell_demand(worker.lease)

    def to_worker(self, slot: int, event: Any) -> None:
        """Hand the scheduler an event of a worker, if there is one in the slot."""
        if slot in self.workers.by_slot:
            self.schedule(event(slot))

    # -- workers -------------------------------------------------------------------------------------------------------

    def worker_up(self, slot: int) -> None:
        """A worker says that it is ready."""
        worker = self.workers.by_slot.get(slot)
        if worker is not None and not worker.up:
            worker.up = True
            self.failed_starts.succeeded(worker.env_key)
            given = self.view.leased_class(slot)
            if given:
                self.classes.learn(given)
            self.schedule(events.WorkerStarted(slot, worker.node_id, worker.env_key, worker.adopted))
            if given in self.classes and worker.lease is None:
                # It serves a class by the driver's word; have the scheduler say so too, though the queue may be empty.
                self.schedule(events.ClassDemand(given, max(1, self.classes.queue_length(given))))

    def _start_worker(self, node_id: str, env_key: str) -> None:
        job = self.environments.job_of(env_key)
        if job is None:
            self.schedule(events.WorkerStartFailed(node_id, env_key, 1))
            return
        labels = dict(self.config.get("labels") or {})
        environment = self.environments.environment(env_key)
        try:
            self.workers.fork(node_id, env_key, job, environment, labels, self.copies.number(node_id))
        except RuntimeError as error:  # there is no place for another process
            _logger.error("a worker could not be started: %s", error)
            self.schedule(events.WorkerStartFailed(node_id, env_key, 1))

    def _worker_failed(self, worker: WorkerProcess, reason: str) -> None:
        self.listeners.warn(f"a worker could not be started: {reason}")
        self._give_up(worker.env_key, self.failed_starts.not_forked(worker, time.monotonic(), reason))
        if worker.up:  # the first one, to which the driver has given a lease before there was a process
            self.schedule(events.WorkerDied(worker.slot))
        else:
            self.schedule(events.WorkerStartFailed(worker.node_id, worker.env_key, 1))
        if worker.lease in self.classes:
            self.classes.tell_demand(worker.lease)

    def _worker_ended(self, worker: WorkerProcess, status: int) -> None:
        """A worker is dead: take its memory back, retry or fail its task, restart its actor."""
        make_error = self._explain_death(worker, status)
        guarded(self.listing.worker_ended, worker, status)
        owner = self.view.worker_id(worker.slot).hex()
        guarded(self.tasks.worker_died, worker.slot, make_error, worker.kill_cause is DeathCause.CANCELLED)
        guarded(self.view.reap, worker.slot)
        self.copies.worker_ended(worker.node_id)
        if worker.up:
            self.schedule(events.WorkerDied(worker.slot))
        else:
            self._count_failed_start(worker, status)
            self.schedule(events.WorkerStartFailed(worker.node_id, worker.env_key, 1))
        if self.actors.worker_died(worker, make_error) or status:
            self.actors.owner_died(owner)
        if worker.lease in self.classes:
            self.classes.tell_demand(worker.lease)

    def _count_failed_start(self, worker: WorkerProcess, status: int) -> None:
        """Fail what waits for workers like this one, if several in a row could not start."""
        lines = self.workers.pump.tail.get(worker.pid)
        self._give_up(worker.env_key, self.failed_starts.failed(worker, time.monotonic(), status, lines))

    def _give_up(self, env_key: str, reason: str | None) -> None:
        """Start no more workers for what waits now, if there is a reason."""
        if reason is not None:
            _logger.error("environment %s: %s", env_key, reason)
            self._fail_waiting(env_key, reason)

    def _fail_waiting(self, env_key: str, reason: str) -> None:
        if self.environments.environment(env_key):
            self.fail_environment(env_key, f"{reason[0].upper()}{reason[1:]}")
            return
        # Tasks still have the workers that serve them, if there are some.
        if not any(worker.lease and worker.env_key == env_key for worker in self.workers.by_slot.values()):
            self.classes.cannot_start(env_key, errors.WorkerCrashedError(f"The task was not run: {reason}"))
        self.actors.cannot_start(env_key, reason)

    def _explain_death(self, worker: WorkerProcess, status: int) -> DeathExplainer:
        before, after = self.workers.take_memory_events()
        return DeathExplainer(self, worker, ExitStatus.from_wait_status(status), before, after)

    def _zygotes_die(self) -> None:
        _logger.error("zygotes die one after the other; the session ends")
        self.listeners.warn("the process that forks workers dies whenever it is started; the session ends")
        self._stop.set()

    # -- instructions --------------------------------------------------------------------------------------------------

    def _carry_out(self, instruction: Any) -> None:
        match instruction:
            case instructions.StartWorker(node_id, env_key, count):
                for _ in range(count):
                    self._start_worker(node_id, env_key)
            case instructions.Lease():
                self.leases.give(instruction)
            case instructions.Revoke(slot, urgent):
                self.leases.revoke(slot, urgent)
            case instructions.StopWorker(slot, reason):
                self._stop_worker(slot, _STOP_CAUSES[reason])
            case instructions.PlaceActor():
                self.leases.place_actor(instruction)
            case instructions.ActorUnschedulable(actor_id, reason):
                self.actors.unschedulable(actor_id, reason)
            case instructions.ClassUnschedulable(class_id, reason):
                self.classes.unschedulable(class_id, reason)
            case instructions.WarnInfeasible(_, _, message):
                if self.cluster is None or not self.cluster.is_joined:  # else another node may have it
                    self.listeners.warn(message)
            case instructions.WorkerLimitReached(_, _, _, message):
                self.listeners.warn(message)
                self.depth.reached(message)
            case instructions.PlacementGroupReady(pg_id, bundle_nodes):
                self.groups.ready(pg_id, bundle_nodes)
            case instructions.PlacementGroupRescheduling(pg_id, _):
                self.groups.rescheduling(pg_id)
            case instructions.KillForPlacementGroup(slot, _):
                self._stop_worker(slot, DeathCause.GROUP_REMOVED)

    def _stop_worker(self, slot: int, cause: DeathCause) -> None:
        worker = self.workers.by_slot.get(slot)
        if worker is not None:
            self.actors.worker_stopped(worker, cause)
            self.workers.kill(worker, cause)

    def fail_environment(self, env_key: str, reason: str) -> None:
        """The environment of some classes and actors cannot be made: fail what waits for it."""
        self.failed_starts.succeeded(env_key)
        error = errors.RuntimeEnvSetupError(reason)
        self.classes.cannot_start(env_key, error)
        self.actors.cannot_start(env_key, error)

    # -- ids -----------------------------------------------------------------------------------------------------------

    def task_id(self, record: int) -> TaskID:
        """Id of the task that a record is."""
        return TaskID(submission.task_id(self.arena, record))

    def actor_id(self, offset: int) -> bytes:
        """Id of the actor at an offset."""
        return bytes(submission.actor_at_offset(self.arena, offset).actor_id)


def scheduler_settings(settings: Settings) -> SchedulerSettings:
    """The scheduler's share of the settings."""
    return SchedulerSettings(
        spread_threshold=settings.get(SCHEDULER_SPREAD_THRESHOLD),
        soft_worker_limit=max(0, settings.get(NUM_WORKERS_SOFT_LIMIT)),
        worker_idle_s=settings.get(IDLE_WORKER_KILLING_TIME_MS) / 1000,
        fail_infeasible=settings.get(FAIL_INFEASIBLE),
        max_task_workers=max(1, settings.get(MAX_TASK_WORKERS)),
    )
