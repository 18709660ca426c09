"""The remote shell: calls run as tasks, or on actors, of the session; the machine is told on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import ray_async as ray
from ray_async.data.block.bundle import RowBundle
from ray_async.data.exceptions import SystemException, as_user_error
from ray_async.data.executor.blocks import reference_of
from ray_async.data.executor.instructions import (
    Instruction,
    MapSpec,
    StageResult,
    StartActor,
    StartTask,
    StopActor,
    StopTask,
)
from ray_async.data.executor.machine import Limits, Machine
from ray_async.data.executor.own_process import OwnProcess
from ray_async.data.executor.spill_folders import SpillFolders
from ray_async.data.executor.standstill import NotBegun, has_begun, what_lacks
from ray_async.data.executor.streaming import StreamReaders
from ray_async.data.executor.worker import Runner, layout_of
from ray_async.data.operators.function import FUNCTION_NOTE
from ray_async.data.plan.physical import PhysicalPlan
from ray_async.exceptions import OutOfDiskError, RayActorError, RayTaskError

__all__ = ("RemoteExecution", "Watch")

_logger = logging.getLogger("ray_async.data")

#: Seconds without the end of a call after which an actor's own process is taken, if no call has begun.
OWN_PROCESS_S = 1.0
#: The same after which is said what lacks.
TOLD_S = 4.0
#: Seconds that calls which were stopped may take to end, where that is waited for.
SETTLED_S = 30.0


class Watcher(Protocol):
    """Who looks at an execution while it runs."""

    def start(self) -> None: ...

    def close(self) -> None: ...


Watch: TypeAlias = Callable[[Machine], Watcher]


class RemoteExecution:
    """One execution of a plan, bound to the running event loop.

    Args:
        plan: the stages.
        limits: what they may use.
        watch: makes of the machine what is told when the execution begins and when it ends.

    Example:
        >>> async with RemoteExecution(plan, limits) as execution:
        ...     while (bundle := await execution.next()) is not None:
        ...         consume(bundle)
    """

    def __init__(self, plan: PhysicalPlan, limits: Limits, watch: Watch | None = None) -> None:
        self._plan = plan
        self.machine = Machine(plan.specs, limits)
        self._watch = watch(self.machine) if watch is not None else None
        self._changed = asyncio.Event()
        self._tasks: dict[int, tuple[Any, asyncio.Future[Any], StartTask]] = {}
        self._remote: dict[int, Any] = {}
        self._actors: dict[int, Any] = {}
        self._opening: dict[int, tuple[int, Any, asyncio.Future[Any]]] = {}
        self._streams = StreamReaders(self.machine.wants)
        self._folders = SpillFolders()
        self._own: OwnProcess | None = OwnProcess() if plan.in_own_process else None
        self._said = False
        self._closed = False
        self._stopped: list[Any] = []

    async def __aenter__(self) -> RemoteExecution:
        with self._failing():
            self._carry(self.machine.start())
        if self._watch is not None:
            self._watch.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self._streams.close()
        if self._plan.settles:
            await self._settle()
        await self._folders.close_all()

    def close(self) -> None:
        """Stop all that runs."""
        if self._closed:
            return
        if self._watch is not None:
            self._watch.close()
        self._carry(self.machine.stop())
        if self._own is not None:
            self._own.close()
        self._closed = True

    async def _settle(self) -> None:
        """Wait until calls that were stopped have ended, since a call notices that between two steps of Python's."""
        running = [reference for reference in self._stopped if not reference.done()]
        if running:
            _, running = await asyncio.to_thread(ray.wait, running, num_returns=len(running), timeout=SETTLED_S)
        if running:
            _logger.warning("%d calls were stopped and have not ended for %g seconds", len(running), SETTLED_S)

    async def next(self) -> RowBundle | None:
        """The next bundle of the result; None after the last.

        Raises:
            RayTaskError: A call has failed; also of the type that a function of the user's raised.
            TimeoutError: No call has ended for as long as the plan's patience.
        """
        while True:
            bundle = self.machine.take()
            if bundle is not None:
                self._carry(self.machine.taken())
                return bundle
            if self.machine.error is not None:
                raise self.machine.error
            self._carry(self.machine.taken())
            if self.machine.over:
                return None
            if not self._tasks and not self._opening:
                raise SystemException(f"the execution stands still: {self.machine.describe()}")
            self._changed.clear()
            await self._change()

    async def _change(self) -> None:
        """Wait until a call ends; meanwhile look whether any can begin."""
        began, patience = time.monotonic(), self._plan.patience
        if self._plan.own_cpus and self._own is None and await self._none_ends_in(OWN_PROCESS_S):
            await self._consider_own_process()
        if not self._said and await self._none_ends_in(TOLD_S if patience is None else min(TOLD_S, patience / 2)):
            await self._say_what_lacks()
        if await self._none_ends_in(None if patience is None else max(0.0, began + patience - time.monotonic())):
            calls = "; ".join(f"{len(tasks)} of {name}" for name, tasks in self.machine.calls().items())
            raise TimeoutError(
                f"no call has ended for {self._plan.patience:g} seconds, though there are {calls}: what do they wait "
                "for? DataContext.execution_no_progress_timeout_s is how long that may take"
            )

    async def _none_ends_in(self, seconds: float | None) -> bool:
        """Whether no call ends in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return True
        return False

    def _waiting(self) -> list[NotBegun]:
        """Calls and actors that were asked for, as far as they run in other processes."""
        found = []
        for reference, _, start in self._tasks.values():
            if reference is not None and start.actor is None:
                found.append(NotBegun(self._plan.specs[start.stage].name, self._plan.options[start.stage], reference))
        for stage, reference, _ in self._opening.values():
            options = {**self._plan.options[stage], "num_cpus": 0}
            found.append(NotBegun(f"an actor of {self._plan.specs[stage].name}", options, reference))
        return found

    async def _consider_own_process(self) -> None:
        """Run here what waits for a CPU, if nothing else has begun: the actor holds one, and waits."""
        moved = [start for reference, _, start in self._tasks.values() if reference is not None and self._fits(start)]
        if not moved or await asyncio.to_thread(has_begun, self._waiting()) or self._changed.is_set():
            return
        self._own = OwnProcess()
        for start in moved:
            self._stop_task(start.task)
            self._start_task(start)

    def _fits(self, start: StartTask) -> bool:
        return start.actor is None and OwnProcess.takes(self._plan.options[start.stage])

    async def _say_what_lacks(self) -> None:
        waiting = self._waiting()
        busy = any(reference is None or start.actor is not None for reference, _, start in self._tasks.values())
        if busy or not waiting or await asyncio.to_thread(has_begun, waiting):
            return
        message = await asyncio.to_thread(what_lacks, waiting)
        if message is not None and not self._changed.is_set():
            self._said = True
            _logger.warning("%s", message)

    # Instructions

    def _carry(self, instructions: Iterable[Instruction]) -> None:
        if self._closed:
            return
        for instruction in instructions:
            if isinstance(instruction, StartTask):
                self._start_task(instruction)
            elif isinstance(instruction, StopTask):
                self._stop_task(instruction.task)
            elif isinstance(instruction, StartActor):
                self._start_actor(instruction)
            elif isinstance(instruction, StopActor):
                self._stop_actor(instruction.actor)
        self._changed.set()
        self._streams.look_again()

    def _start_task(self, start: StartTask) -> None:
        spec = self._plan.specs[start.stage]
        try:
            self._folders.open(start.stage, spec, self.machine.stages[start.stage])
        except OutOfDiskError as error:
            self._carry(self.machine.fail(error))
            return
        if self._own is not None and self._fits(start):
            own = self._own.run(start.stage, spec.name, _operator(self._plan, start.stage), start.call)
            self._await(start, None, own)
            return
        layout, handles = layout_of(start.call)
        blocks = [reference_of(handle) for handle in handles]
        if start.actor is not None and isinstance(spec, MapSpec) and spec.streams:
            method = self._actors[start.actor].stream.options(_generator_backpressure_num_objects=1)
            generator = method.remote(start.call.params, start.call.number, layout, *blocks)
            future = self._streams.read(start.task, generator, lambda given: self._given(start.task, given))
            self._await(start, generator, future)
            return
        function = self._function(start.stage) if start.actor is None else self._actors[start.actor].run
        reference = function.remote(start.call.params, start.call.number, layout, *blocks)
        self._await(start, reference, reference.as_future())

    def _await(self, start: StartTask, reference: Any, future: asyncio.Future[Any]) -> None:
        self._tasks[start.task] = (reference, future, start)
        future.add_done_callback(partial(self._done, start))

    def _function(self, stage: int) -> Any:
        """The remote function of a stage, made when it is first needed."""
        if stage not in self._remote:
            runner = Runner(_operator(self._plan, stage), self._plan.kept_bytes)

            def run(params: Any, number: int, layout: Any, *blocks: Any) -> StageResult:
                return runner.run(params, number, layout, *blocks)

            options = {"name": self._plan.specs[stage].name, **self._plan.options[stage]}
            self._remote[stage] = ray.remote(run).options(**options)
        return self._remote[stage]

    def _stop_task(self, task: int) -> None:
        entry = self._tasks.pop(task, None)
        if entry is None:
            return
        reference, future, _ = entry
        future.cancel()
        if reference is None or isinstance(reference, ray.ObjectRefGenerator):
            return  # in this process a call runs to its end; of a stream, the reader that goes ends its call
        # An actor's call may have begun and cannot be cancelled then; its actor is stopped soon after.
        with contextlib.suppress(ValueError, TypeError, ray.exceptions.RayError):
            ray.cancel(reference)
        if reference.done():
            reference.exception()  # it has failed like others did, and is told of once
        elif self._plan.settles:
            self._stopped.append(reference)

    def _start_actor(self, start: StartActor) -> None:
        spec = self._plan.specs[start.stage]
        assert isinstance(spec, MapSpec) and spec.pool is not None
        # The machine counts who is busy. So a pool never holds the CPUs that its reads need, or datasets inside of it.
        options = {**self._plan.options[start.stage], "num_cpus": 0}
        options.pop("name", None)
        threads = 0 if os.environ.get("OMP_NUM_THREADS") else int(spec.pool.cpus)
        runner = Runner(_operator(self._plan, start.stage), self._plan.kept_bytes)
        actor = ray.remote(StageActor).options(**options).remote(runner, threads)
        self._actors[start.actor] = actor
        reference = actor.open.remote()
        future = reference.as_future()
        self._opening[start.actor] = (start.stage, reference, future)
        future.add_done_callback(partial(self._opened, start.actor, spec.name))

    def _stop_actor(self, actor: int) -> None:
        handle = self._actors.pop(actor, None)
        opening = self._opening.pop(actor, None)
        if opening is not None:
            opening[2].cancel()
        if handle is not None:
            ray.kill(handle)

    # Events

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Whatever goes wrong at an event ends the execution: nobody awaits a callback, and its call is over."""
        try:
            yield
        except Exception as error:
            self._carry(self.machine.fail(error))

    def _given(self, task: int, result: StageResult) -> None:
        with self._failing():
            self._carry(self.machine.output(task, result))

    def _opened(self, actor: int, stage: str, future: asyncio.Future[Any]) -> None:
        with self._failing():
            self._note_opened(actor, stage, future)

    def _done(self, start: StartTask, future: asyncio.Future[Any]) -> None:
        with self._failing():
            self._note_done(start, future)

    def _note_opened(self, actor: int, stage: str, future: asyncio.Future[Any]) -> None:
        if self._opening.pop(actor, None) is None or future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._carry(self.machine.actor_ready(actor))
        else:
            self._carry(self.machine.actor_lost(actor, self._told(error, stage), was_ready=False))

    def _note_done(self, start: StartTask, future: asyncio.Future[Any]) -> None:
        entry = self._tasks.get(start.task)
        if entry is None or entry[1] is not future:
            return  # it was stopped; and perhaps begun anew, elsewhere
        del self._tasks[start.task]
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._carry(self.machine.finished(start.task, _own(future.result())))
            self._folders.close(start.stage, self.machine.stages[start.stage])
            return
        died = start.actor is not None and isinstance(error, RayActorError)
        told = self._told(error, self._plan.specs[start.stage].name)
        instructions: Sequence[Instruction] = []
        if died and start.actor is not None and start.actor in self._actors:
            del self._actors[start.actor]
            instructions = self.machine.actor_lost(start.actor, told, was_ready=True)
        began = getattr(error, "call_began", True) is not False
        self._carry([*instructions, *self.machine.failed(start.task, told, actor_died=died, began=began)])

    def _told(self, error: BaseException, stage: str) -> BaseException:
        """An error with the stage's name; of a function of the user's also as such."""
        if isinstance(error, RayTaskError) and FUNCTION_NOTE in error.traceback_str:
            return as_user_error(error)
        error.add_note(f"in stage {stage}")
        return error


class StageActor:
    """An actor of a stage's pool; the user's class is made by `open`, so that its error arrives as it is.

    Args:
        runner: what it runs.
        threads: threads that libraries should use; with 0 or 1 as many as they do anyway.
    """

    def __init__(self, runner: Runner, threads: int) -> None:
        self._runner = runner
        if threads > 1:  # as a worker has them that holds so many CPUs
            os.environ["OMP_NUM_THREADS"] = str(threads)
            if "torch" in sys.modules:
                sys.modules["torch"].set_num_threads(threads)

    def open(self) -> None:
        self._runner.operator.prepare()

    def run(self, params: Any, number: int, layout: Any, *blocks: Any) -> StageResult:
        return self._runner.run(params, number, layout, *blocks)

    def stream(self, params: Any, number: int, layout: Any, *blocks: Any) -> Iterator[StageResult]:
        yield from self._runner.stream(params, number, layout, *blocks)


def _own(result: StageResult) -> StageResult:
    """A result whose value is this process's own.

    A view of the store would keep the result there for as long as its barrier needs the value, and a result that is
    kept keeps the arguments of its call: all the blocks.
    """
    if result.value is None:
        return result
    return replace(result, value=pickle.loads(pickle.dumps(result.value)))


def _operator(plan: PhysicalPlan, stage: int) -> Any:
    operator = plan.operators[stage]
    assert operator is not None
    return operator
