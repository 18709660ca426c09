"""The main loop of a worker: wait for a lease, serve it, give it back."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ray_async import exceptions as errors
from ray_async._core import execution, store
from ray_async._core.arena import Arena
from ray_async._core.constants import EventKind, LeaseState, ProcessKind
from ray_async._core.os_process import set_title
from ray_async._core.own_slot import OwnSlot, lease_state, leased_actor, leased_class
from ray_async.config import ASYNC_STALL_WARNING_S, WARN_BLOCKING_GET_INSIDE_ASYNC, Settings
from ray_async.machine import stack_dump
from ray_async.runtime.logs import worker_output
from ray_async.runtime.scheduler.resources import DEVICE_RESOURCES
from ray_async.runtime.worker import breakpoints
from ray_async.runtime.worker.current_call import Executing, running
from ray_async.runtime.worker.definitions import Definition, load_definition
from ray_async.runtime.worker.device_variables import DeviceVariables
from ray_async.runtime.worker.failure import (
    WorkerExit,
    cancelled_payload,
    failure_payload,
    report_failure,
    report_unread,
    unstorable_payload,
    wants_retry,
)
from ray_async.runtime.worker.forked_child import prepare_for_forks, runs_a_loop
from ray_async.runtime.worker.lease import ClassLeases, WorkerLease
from ray_async.runtime.worker.lost_interrupt import LostInterrupts
from ray_async.runtime.worker.preloading import import_deferred
from ray_async.spec.class_description import ClassDescription, Environment

if TYPE_CHECKING:
    from ray_async._core.call_options import CallOptions
    from ray_async.runtime.messages.session_description import WorkerConfig
    from ray_async.runtime.worker.hosts.async_host import AsyncHost
    from ray_async.runtime.worker.session import WorkerSession

__all__ = ("Worker", "end_worker", "run_worker")

_logger = logging.getLogger("ray_async")


def end_worker(arena: Arena, config: WorkerConfig) -> NoReturn:
    """Be a worker until the node says otherwise, then end the process."""
    code = 1
    try:
        code = run_worker(arena, config)
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def run_worker(arena: Arena, config: WorkerConfig) -> int:
    """Be a worker until the node says otherwise; returns the process's exit code."""
    import faulthandler

    faulthandler.enable()
    stack_dump.take_requests(config["session_dir"])
    set_title(b"ray::IDLE")
    slot = arena.join(ProcessKind.WORKER, config["slot"], config["job"]["id"])
    worker = Worker(arena, config)
    try:
        worker.prepare()
        worker.own_slot.announce(EventKind.WORKER_UP, slot)
        worker.serve()
    except WorkerExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    finally:
        worker.run_exit_hooks()
    return 0


class Worker:
    """State of a worker process: its session, its executor, and the actor it hosts, if any.

    Args:
        arena: the session's shared memory, joined.
        config: the node's configuration with this worker's slot, job, logical node and environment.
    """

    def __init__(self, arena: Arena, config: WorkerConfig) -> None:
        self.arena = arena
        self.config = config
        self.settings = Settings(config.get("system_config") or {})
        self.node_ip: str = config["node_ip"]
        self.own_slot = OwnSlot(arena)
        self.executor = execution.Executor(arena, self._load, self._failed, self._withdrawn, unstorable_payload)
        self.actor: int = 0
        self.actor_instance: Any = None
        self.actor_ready = False
        self.actor_title = ""
        self.lease: WorkerLease | None = None
        self.session: WorkerSession
        self._loop: Any = None
        self._exiting = False
        self.on_loop = False
        self.async_host: AsyncHost | None = None
        self._warned = False
        self._class_leases = ClassLeases(arena)
        self._lost_interrupts = LostInterrupts(self._interrupt_lost, self._interrupt_is_due)

    # -- start ---------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Become the job's: path, directory, environment, session, signals."""
        from ray_async.engine import current
        from ray_async.runtime.worker.session import WorkerSession

        job = self.config["job"]
        sys.path[:] = job["sys_path"] + [p for p in sys.path if p not in job["sys_path"]]
        with contextlib.suppress(OSError):
            os.chdir(job["cwd"])  # the driver's directory may be gone; then the node's will do
        sys.argv = [""]
        for name in job.get("imports", ()):
            importlib.import_module(name)
        worker_output.install(self._task_name, self._output_held)
        breakpoints.install()
        self._lost_interrupts.install()
        signal.signal(signal.SIGINT, self._interrupted)
        signal.signal(signal.SIGTERM, self._terminated)
        prepare_for_forks(self._flush_output)
        self.session = WorkerSession(self.arena, self.config, self)
        current.set_session(self.session)
        if self.config.get("timeline"):
            self.executor.trace = []
            self.executor.flush_trace = self._flush_trace
        if self.config.get("task_history"):
            from ray_async._core.task_ring import TaskRing

            self.executor.ring = TaskRing(self.config["session_dir"])
        if job.get("logging"):
            from ray_async.runtime.logs.log_setup import apply_log_setup, context_marks

            apply_log_setup(job["logging"], lambda: context_marks(self.session.context()))
        environment = self.config.get("runtime_env") or {}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        if environment:
            self._apply_environment(environment)
        self.environment = DeviceVariables(self.settings, visible=visible, pools=import_deferred(self.config))

    def _output_held(self) -> None:
        """Have the text of a line that has not ended written when there is nothing to do: its end may never come."""
        self.executor.before_rest = self._flush_output

    def _flush_output(self) -> None:
        self.executor.before_rest = None
        for stream in (sys.stdout, sys.stderr):
            # It may be the user's, or closed, or nobody may read the pipe, for want of descriptors.
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()

    def _flush_trace(self, trace: list[Any]) -> None:
        """Send recorded times to the node."""
        rows, trace[:] = list(trace), []
        self.session.notify("trace", pid=os.getpid(), rows=rows)

    def _apply_environment(self, environment: Environment) -> None:
        from ray_async.runtime_env.worker_setup import apply

        try:
            apply(environment, self.config["session_dir"])
        except Exception as error:
            reason = error.error_message if isinstance(error, errors.RuntimeEnvSetupError) else None
            reason = reason or f"{type(error).__name__}: {error}"
            self.session.notify("environment_failed", env_key=self.config["env_key"], reason=reason)
            raise WorkerExit(0) from error

    def dumps(self, value: object) -> bytes:
        """Pickle with the session's serializers."""
        return self.session.dumps(value)

    def _task_name(self) -> str:
        """What the calling thread or asyncio task runs, for the prefix of its lines.

        The node names an actor's, unless its class has a ``__repr__`` of its own.
        """
        if self.actor:
            return self.actor_title
        now = running.get()
        if now is not None:
            return now.name
        if self.async_host is not None:
            return self.async_host.running_name(sys._getframe(1))
        definition = self.executor.meta
        return definition.name if definition is not None else ""

    def _interrupted(self, number: int, frame: Any) -> None:
        """The node's signal for a cancel. It must not hit another task than the one that was cancelled."""
        executor = self.executor
        if self.async_host is not None:
            self.async_host.interrupted(frame, self._lost_interrupts)
        if not (executor.in_user_code and executor.record and executor.is_cancelled(executor.record)):
            return
        if self._lost_interrupts.handling:
            return
        executor.cancel_delivered(executor.record)
        if not self.actor:  # a method that is stopped half-way would leave the actor in a state that nobody knows
            executor.in_user_code = False
            raise self._lost_interrupts.mark(KeyboardInterrupt(), executor.record)

    def _interrupt_lost(self, record: int) -> None:
        """What was raised for a cancel has gone: the record did not get it."""
        self.executor.cancel_not_delivered(record)
        if record == self.executor.record:
            self.executor.in_user_code = True
        elif self.async_host is not None:
            self.async_host.cancel_not_delivered(record)

    def _interrupt_is_due(self, record: int) -> bool:
        runs = record == self.executor.record or (self.async_host is not None and self.async_host.runs(record))
        return runs and self.executor.is_overtaken(record)

    def _terminated(self, number: int, frame: Any) -> None:
        """Run the exit hooks, and end by the signal that would have ended this process at once."""
        self.run_exit_hooks()
        self._flush_output()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    # -- leases --------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Take lease after lease."""
        seen = 0
        while True:
            lease = self.own_slot.park(seen)
            if lease == 0:
                return
            seen = lease
            if lease_state(lease) == LeaseState.ACTOR:
                self._serve_actor(leased_actor(lease), lease)
                return
            queue = self.executor.enter(lease)
            if queue == 0:  # the node took the lease back, and the class may be gone
                seen = self.own_slot.give_back(lease)
                continue
            code = self._serve_class(queue, leased_class(lease), lease)
            self.executor.leave()
            if self.executor.before_rest is not None:
                self.executor.before_rest()
            self.session.collect_loops()
            if code == execution.EXIT:
                return
            seen = self.own_slot.give_back(lease)

    def _serve_class(self, queue: int, class_id: int, lease: int) -> int:
        """Run tasks of a class while the lease holds; returns why that ended."""
        served = self._class_leases.of(class_id)
        self.enter_lease(served)
        self.arena.gives_cpu_back = True
        try:
            tasks = served.description
            if isinstance(tasks, ClassDescription) and tasks.is_async:
                from ray_async.runtime.worker.hosts.async_host import serve_async_class

                return int(serve_async_class(self, queue, lease, tasks.tasks_per_worker))
            return int(self.executor.serve(queue, lease))
        finally:
            self.arena.gives_cpu_back = False

    def enter_lease(self, lease: WorkerLease) -> None:
        """Become what a lease of a class or an actor wants, with the devices that the node chose."""
        from ray_async.engine import current

        inherited = self.session.inherited_group()
        self.lease = lease
        if self.session.inherited_group() != inherited:
            current.rebind()
        held = lease.place.resources
        if lease.accelerators is None and not DEVICE_RESOURCES.isdisjoint(held):
            given = self.session.ask("lease_accelerators", slot=self.arena.slot)["accelerators"]
            lease.accelerators = {name: self.environment.names(name, ids) for name, ids in given.items()}
        self.environment.enter(held, lease.accelerators or {})

    def _withdrawn(self, record: int) -> BaseException:
        """Why the result of an actor's call does not count: the call had asked for the end, or is cancelled."""
        return WorkerExit(0) if self.executor.exiting == record else KeyboardInterrupt()

    # -- one task ------------------------------------------------------------------------------------------------------

    def _load(self, payload: bytes, number: int) -> tuple[Any, Definition]:
        loaded = load_definition(self, payload)
        set_title(loaded[1].title, loaded[1].line)
        return loaded

    def _failed(
        self, executor: Any, record: int, function: Any, definition: Definition | None, error: BaseException
    ) -> bytes | None:
        """Decide what becomes of a task that raised. Returns the stored error, or None if there is nothing to store."""
        executor.end_if_forked(error)
        if self.actor and not self.actor_ready and executor.creation_of_actor(self.actor) == record:
            # The class cannot be loaded here, or the arguments of __init__ cannot be had.
            self._creation_failed(record, definition, error)
            return None
        cancelled = executor.is_cancelled(record)
        # Whatever it raises before it is interrupted may come of what the canceller did next; an actor's never is.
        overtaken = isinstance(error, Exception) and (
            executor.is_overtaken(record) or (cancelled and executor.sync_actor)
        )
        # A KeyboardInterrupt of the task's own counts as a cancel, too: Ctrl-C in its code would look the same.
        if (
            isinstance(error, KeyboardInterrupt)
            or overtaken
            or (cancelled and type(error).__name__ == "CancelledError")
        ):
            payload = cancelled_payload(self, record, definition, error)
            kind = "TASK_CANCELLED"
        else:
            if isinstance(error, SystemExit):
                self.leave(error)
            if self._retry(executor, record, error):
                return None
            payload = failure_payload(self, definition, error)
            kind = "TASK_EXECUTION_EXCEPTION"
        report_failure(self, record, definition, kind, payload)
        if not cancelled and not executor.facts(record)["stream"]:
            report_unread(self, record, payload)
        return payload

    def _retry(self, executor: Any, record: int, error: BaseException) -> bool:
        if not self.may_retry(record, error):
            return False
        retries = executor.facts(record)["retries"]
        executor.requeue(record, retries - 1 if retries > 0 else -1)
        return True

    def may_retry(self, record: int, error: BaseException) -> bool:
        """Whether a task that raises this is run again."""
        facts = self.executor.facts(record)
        if not facts["retry_errors"] or facts["retries"] == 0 or facts["cancelled"]:
            return False
        filters = self.executor.options(record).get("retry_exceptions")
        return wants_retry(error, None if filters is None else store.read(self.arena, filters))

    def leave(self, error: SystemExit) -> NoReturn:
        """A task that calls ``sys.exit`` ends its worker; the node reports that to the caller.

        An actor means to end for good with exit_actor() and with sys.exit(0); any other exit is a failure, after which
        it may be restarted.
        """
        self.executor.end_if_forked(error)
        if self.actor and (isinstance(error, WorkerExit) or error.code == 0):
            reason = "exit_actor() was called" if isinstance(error, WorkerExit) else "it called sys.exit(0)"
            self.session.ask("actor_leaves", actor=self.actor, reason=reason)
        code = _exit_code(error)
        self.run_exit_hooks()
        self._flush_output()
        os._exit(code)

    def executing(self, record: int, definition: Definition, options: CallOptions) -> Executing:
        """Note what the current thread or asyncio task runs."""
        return Executing(self, record, definition, options)

    def trace(self, name: str, started: int, ended: int, seq: int) -> None:
        """Record the times (ns) of an execution, if they are wanted."""
        if self.executor.trace is not None:
            self.executor.trace.append((name, started, ended, seq))
            if (self.lease is not None and self.lease.description.is_async) or len(self.executor.trace) > 1000:
                self._flush_trace(self.executor.trace)

    @property
    def stall_after_s(self) -> float:
        """Seconds after which a standing event loop is reported."""
        return self.settings.get(ASYNC_STALL_WARNING_S)

    def warn_of_blocking_get(self) -> None:
        """Say, once, that a blocking get stands on the loop of an async actor (RAY_WARN_BLOCKING_GET_INSIDE_ASYNC)."""
        from asyncio import _get_running_loop

        wanted = self.settings.get(WARN_BLOCKING_GET_INSIDE_ASYNC)
        if self._warned or _get_running_loop() is None or not wanted:
            return
        self._warned = True
        logging.getLogger("ray_async").warning(
            "Blocking get() on the event loop of an async actor: nothing else runs on it until the value is there. "
            "Await the reference, or asyncio.gather() several."
        )

    # -- coroutines in one-at-a-time workers ---------------------------------------------------------------------------

    def loop(self) -> Any:
        """The event loop of this worker's main thread, made at first use."""
        if self._loop is None:
            from ray_async.machine.event_loop import new_event_loop

            self._loop = new_event_loop(self.session.settings)
        return self._loop

    @runs_a_loop
    def run_coroutine(self, coroutine: Any) -> Any:
        """Run a coroutine to its end on the worker's loop."""
        return self.loop().run_until_complete(coroutine)

    def iterate(self, items: Any) -> Iterator[Any]:
        """The items of an asynchronous generator, one by one, on the worker's loop."""
        from asyncio import CancelledError  # imported with the loop

        loop = self.loop()
        try:
            while True:
                step = loop.create_task(_item_of(items))
                try:
                    yield loop.run_until_complete(step)
                except StopAsyncIteration:
                    return
                except KeyboardInterrupt:  # came while the loop ran: the generator is in the midst of its step
                    step.cancel()
                    with contextlib.suppress(CancelledError):
                        loop.run_until_complete(step)
                    raise
        finally:
            if isinstance(items, AsyncGenerator):
                loop.run_until_complete(items.aclose())

    def failed_item(self, definition: Definition, error: Exception) -> Any:
        """A reference to an error that ended a generator: getting it raises the error."""

        item = store.new_promise(self.arena)
        store.fulfil(self.arena, item, failure_payload(self, definition, error), error=True)
        return item

    # -- actors --------------------------------------------------------------------------------------------------------

    def _serve_actor(self, offset: int, lease: int) -> None:
        from ray_async.runtime.worker.hosts.actor_host import host_actor

        self.actor = offset
        host_actor(self, offset, lease)

    def create_actor(
        self,
        record: int,
        cls: Callable[..., Any],
        definition: Definition,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Run ``__init__`` and complete the creation's record."""
        try:
            self.executor.in_user_code = True
            try:
                self.actor_instance = cls(*args, **kwargs)
            finally:
                self.executor.in_user_code = False
        except BaseException as error:
            self.executor.end_if_forked(error)
            if isinstance(error, SystemExit):
                self.leave(error)
            self._creation_failed(record, definition, error)
            return
        self.actor_ready = True
        if "__repr__" in {name for base in type(self.actor_instance).__mro__[:-1] for name in vars(base)}:
            self.actor_title = self.actor_repr() or ""
        # The record is kept, with its arguments, for a restart; the node ends it with the actor.
        self.executor.complete(record, None)
        self.own_slot.announce(EventKind.ACTOR_READY, self.actor)

    def _creation_failed(self, record: int, definition: Definition | None, error: BaseException) -> None:
        described = errors.from_payload(failure_payload(self, definition, error))
        if isinstance(described, errors.RayTaskError):
            died: BaseException = errors.ActorDiedError.from_task_error(described)
        else:
            facts = errors.ActorDiedErrorContext(self.session.actor_id_of(self.actor).hex(), str(described))
            died = errors.ActorDiedError(facts)
        payload = errors.to_payload(died, dumps=self.dumps)
        from ray_async.transport.frames import encode_bytes

        self.session.ask("actor_failed", actor=self.actor, error=encode_bytes(payload))
        self.executor.fail(record, payload)

    def exit_actor(self) -> None:
        """End the actor: its process leaves after the current call.

        Raises:
            WorkerExit: always.
        """
        raise WorkerExit(0)

    def actor_repr(self) -> str | None:
        """How error messages call the actor, or None outside one."""
        if self.actor_instance is None:
            return None
        try:
            return repr(self.actor_instance)
        except Exception as error:
            return f"{type(self.actor_instance).__name__} (its __repr__ raised {type(error).__name__})"

    def actor_id_hex(self) -> str | None:
        """The id of the actor that this worker hosts."""
        return self.session.actor_id_of(self.actor).hex() if self.actor else None

    def run_exit_hooks(self) -> None:
        """Run the actor's ``__ray_shutdown__`` and what an interpreter's end would, once.

        A worker ends by ``_exit``, since the zygote's own hooks are not its.
        """
        if not self._exiting:
            self._exiting = True
            from ray_async.runtime.worker.exit_work import run_exit_work

            run_exit_work(self.settings, self.actor_instance)


def _exit_code(error: SystemExit) -> int:
    """The code of a process that ends like this. As in any interpreter, a text goes to stderr and means 1."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    if sys.stderr is not None:
        print(error.code, file=sys.stderr)
    return 1


async def _item_of(items: Any) -> Any:
    return await anext(items)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
