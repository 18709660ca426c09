"""Compiled graphs, as their users hold them."""

from __future__ import annotations

import os
import uuid
import weakref
from collections.abc import Sequence
from typing import Any

from ray_async import exceptions as errors
from ray_async._core import store
from ray_async._core.channel import Bell, Channel, new_bell, new_channel
from ray_async._core.object_ref import ObjectRef
from ray_async.dag.compiled.actor_loop import LoopOrder
from ray_async.dag.compiled.drawing import draw
from ray_async.dag.compiled.life import GraphExecution, Life, Member
from ray_async.dag.compiled.places import check_places
from ray_async.dag.compiled.plan import BEGIN, GraphPlan, make_plan
from ray_async.dag.compiled.ref import CompiledDAGFuture, CompiledDAGRef
from ray_async.dag.compiled.watch import watch
from ray_async.dag.context import DAGContext
from ray_async.dag.input_node import pack_input
from ray_async.dag.node import DAGNode
from ray_async.engine.current import current_session, get_session

__all__ = ("CompiledDAG",)


class CompiledDAG:
    """A graph of actors' methods that is executed over and over; `DAGNode.experimental_compile` makes it.

    An execution's values go from process to process through rings of references in shared memory; no task is submitted.
    A graph is executed in the process that compiled it.

    Args:
        root: The node that gives the results.
        enable_asyncio: Whether executions are awaited.
        max_inflight_executions: How many executions may have results that were not fetched.
        submit_timeout_s: Seconds that `execute` waits for those whose results nobody will fetch.

    Raises:
        ValueError: A graph that cannot be compiled, as when an actor lives on another machine.
    """

    def __init__(
        self, root: DAGNode, *, enable_asyncio: bool, max_inflight_executions: int, submit_timeout_s: float
    ) -> None:
        if root._compiled:
            raise ValueError(
                "It is not allowed to call `experimental_compile` on the same DAG object multiple times no matter "
                "whether `teardown` is called or not. Please reuse the existing compiled DAG or create a new one."
            )
        if max_inflight_executions < 1:
            raise ValueError(f"_max_inflight_executions must be positive, but is {max_inflight_executions}.")
        self._plan = make_plan(root)
        check_places(get_session(), self._plan.actors)
        root._compiled = True
        self._id = uuid.uuid4().hex
        self._is_async = enable_asyncio
        self._limit = max_inflight_executions
        self._submit_timeout_s = submit_timeout_s
        self._execution_index = -1
        self._keys = list(dict.fromkeys(w for a in self._plan.actors for w in a.words if isinstance(w, tuple)))
        self._life, self._sends = _begin(self._plan, self._keys, self._limit)
        self._unbind = unbind = _unbinder(self._life)
        current_session.bindings.add(unbind)
        self._finalizer = weakref.finalize(self, _forget, self._life)
        watch(self._life)

    # -- executing -----------------------------------------------------------------------------------------------------

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Start an execution.

        Args:
            args: What the `InputNode` stands for: one value, or as many as the graph takes by index.
            kwargs: The values that the graph takes by name.

        Returns:
            A reference to the result, or a list of them for a `MultiOutputNode`.

        Raises:
            ValueError: The graph takes other arguments, or is compiled for asyncio.
            RayCgraphCapacityExceeded: Too many executions have results that were not fetched.
            RayChannelTimeoutError: Executions whose results nobody can fetch any more do not end in time.
            RayChannelError: The graph was torn down.
            RayActorError: An actor of the graph died.
        """
        if self._is_async:
            raise ValueError("Use execute_async: the graph was compiled with enable_asyncio=True.")
        abandoned = self._abandoned()
        if abandoned is not None:
            promises = list(abandoned.promises)
            self._life.session.wait(promises, len(promises), self._submit_timeout_s, False)
            self._check_room()
        execution = self._start(args, kwargs)
        return self._results(CompiledDAGRef, execution)

    async def execute_async(self, *args: Any, **kwargs: Any) -> Any:
        """Start an execution, of a graph that was compiled with ``enable_asyncio=True``.

        Args:
            args, kwargs: As of `execute`.

        Returns:
            A future, awaited once, or a list of them for a `MultiOutputNode`.

        Raises:
            ValueError, RayCgraphCapacityExceeded, RayChannelTimeoutError, RayChannelError, RayActorError: As `execute`.
        """
        if not self._is_async:
            raise ValueError("Use execute: the graph was compiled without enable_asyncio=True.")
        abandoned = self._abandoned()
        if abandoned is not None:
            import asyncio

            await asyncio.wait([ref.as_future() for ref in abandoned.promises], timeout=self._submit_timeout_s)
            self._check_room()
        execution = self._start(args, kwargs)
        return self._results(CompiledDAGFuture, execution)

    def _results(self, kind: Any, execution: GraphExecution) -> Any:
        if not self._plan.multiple:
            return kind(self, execution, 0, None)
        return [kind(self, execution, place, channel) for channel, place in enumerate(self._plan.outputs)]

    def _start(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> GraphExecution:
        life = self._life
        arena = life.arena
        with life.lock:
            life.check()
            pool: dict[Any, ObjectRef[Any]] = {
                key: store.put(arena, self._input(key, args, kwargs)) for key in self._keys
            }
            if not self._keys:
                self._check_input(args, kwargs)
            promises = [store.new_promise(arena) for _ in range(self._plan.promises)]
            pool.update(enumerate(promises))
            self._execution_index += 1
            execution = GraphExecution(self._execution_index, promises, len(self._plan.outputs))
            life.running[execution.index] = execution
            for channel, words in self._sends:
                channel.send(tuple([pool[word] for word in words]))
        return execution

    def _input(self, key: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if key == BEGIN:
            return None
        self._check_input(args, kwargs)
        name = key[1]
        if name is None:
            return pack_input(args, kwargs)
        return args[name] if isinstance(name, int) else kwargs[name]

    def _check_input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        expected = self._plan.positional
        if expected is None:
            return
        if len(args) != expected:
            raise ValueError(
                f"dag.execute() or dag.execute_async() must be called with {expected} positional args, got {len(args)}"
            )
        for name in self._plan.keywords:
            if name not in kwargs:
                raise ValueError(f"dag.execute() or dag.execute_async() must be called with kwarg `{name}`")

    # -- executions in flight ------------------------------------------------------------------------------------------

    def _abandoned(self) -> GraphExecution | None:
        """Where there is no room, an execution whose results nobody can fetch any more; None where there is room.

        Raises:
            RayCgraphCapacityExceeded: There is none.
        """
        running = self._life.running
        if len(running) < self._limit:
            return None
        with self._life.lock:
            for execution in list(running.values()):
                self._drop_if_over(execution)
            if len(running) < self._limit:
                return None
            for execution in running.values():
                if execution.wanted == 0:
                    return execution
        raise errors.RayCgraphCapacityExceeded(
            f"The compiled graph can't have more than {self._limit} in-flight executions, and you currently have "
            f"{len(running)} in-flight executions. Retrieve an output using ray.get before submitting more requests or "
            "increase `_max_inflight_executions`. "
        )

    def _check_room(self) -> None:
        if self._abandoned() is not None:
            raise errors.RayChannelTimeoutError(
                f"An execution whose results were not fetched has not ended within {self._submit_timeout_s} seconds."
            )

    def _release(self, execution: GraphExecution) -> None:
        """A result was fetched, or cannot be fetched any more."""
        with self._life.lock:
            execution.wanted -= 1
            self._drop_if_over(execution)

    def _drop_if_over(self, execution: GraphExecution) -> None:
        arena = self._life.arena
        if execution.wanted == 0 and (arena.closed or all(store.is_ready(arena, ref) for ref in execution.promises)):
            self._life.running.pop(execution.index, None)

    # -- the end -------------------------------------------------------------------------------------------------------

    @property
    def is_teardown(self) -> bool:
        """Whether the graph has ended."""
        return self._life.is_over

    def teardown(self, kill_actors: bool = False) -> None:
        """End the graph; its actors are free for other work then.

        Args:
            kill_actors: Whether to end the actors as well.

        Raises:
            RayChannelTimeoutError: A method that runs has not returned within the context's ``teardown_timeout``.
        """
        life = self._life
        current_session.bindings.discard(self._unbind)
        life.finish(errors.RayChannelError("Channel closed: the compiled graph was torn down."))
        if life.arena.closed:
            return
        if kill_actors:
            for member in life.members:
                life.session.kill_actor(member.core, True)
        ended = [member.ended for member in life.members]
        limit_s = DAGContext.get_current().teardown_timeout
        still = life.session.wait(ended, len(ended), limit_s, False)[1]
        life.stop_watching()
        if still:
            raise errors.RayChannelTimeoutError(
                f"{len(still)} actors of the compiled graph still run a method after {limit_s} seconds."
            )

    # -- what it is ----------------------------------------------------------------------------------------------------

    def get_id(self) -> str:
        """The graph's name, which is no other's."""
        return self._id

    def visualize(
        self,
        filename: str = "compiled_graph",
        format: str = "png",
        view: bool = False,
        channel_details: bool = False,
    ) -> str:
        """Draw the graph.

        Args:
            filename: Of the drawing, without its ending; nothing is written for the format "ascii".
            format: "ascii" for a text, "dot" for a file of Graphviz's language, and any other one of Graphviz's, for
                which its program is needed.
            view: Whether to open the drawing.
            channel_details: Whether edges say what values go through.

        Returns:
            The text, or the graph in Graphviz's language.

        Raises:
            FileNotFoundError: A format that needs the program of Graphviz, which is not there.
        """
        return draw(self._plan, filename, format, view, channel_details)

    def __repr__(self) -> str:
        return f"CompiledDAG({self._id})"


def _begin(plan: GraphPlan, keys: Sequence[Any], limit: int) -> tuple[Life, list[tuple[Channel, list[Any]]]]:
    """Make the channels and start the actors' loops; gives the graph's life, and the channels from this process."""
    session: Any = get_session()
    arena = session.arena
    capacity = limit + 1  # an execution counts until all its results are there, and its messages are read before
    bells = [new_bell(arena) for _ in plan.actors]
    channels = [new_channel(arena, capacity, 1) for _ in plan.channel_readers]
    own_bells = [Bell(arena, memory) for memory in bells]
    life = Life(session, arena, own_bells)
    sends = []
    for number, actor in enumerate(plan.actors):
        width = len(actor.words)
        driver_channel = new_channel(arena, capacity, width) if width else None
        if driver_channel is not None:
            sends.append((Channel(arena, driver_channel, own_bells[number], capacity, width), actor.words))
        order = LoopOrder(
            steps=actor.steps,
            constants=actor.constants,
            slots=actor.slots,
            width=width,
            capacity=capacity,
            bell=bells[number],
            driver_channel=driver_channel,
            inbound=[channels[index] for index in actor.inbound],
            outbound=[(channels[index], bells[plan.channel_readers[index]]) for index in actor.outbound],
            ended=store.new_promise(arena),
            driver_pid=os.getpid(),
        )
        life.members.append(Member(session, actor.core, order))
    return life, sends


def _unbinder(life: Life) -> Any:
    def unbind(ended: bool) -> None:
        """The session ends, or what its tasks inherit has changed."""
        if ended:
            _forget(life)

    return unbind


def _forget(life: Life) -> None:
    """End a graph without waiting for its actors: nothing refers to it any more, or the session ends."""
    if not life.arena.closed and not life.arena.forked:
        life.finish(errors.RayChannelError("Channel closed: the session or the compiled graph has ended."))
        life.stop_watching()
