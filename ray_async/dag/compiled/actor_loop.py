"""The loop of an actor in a compiled graph: a thread that makes the actor's calls of one execution after the other."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import threading
from dataclasses import dataclass
from typing import Any

from ray_async import exceptions as errors
from ray_async._core import store
from ray_async._core.channel import Bell, Channel, outcome
from ray_async._core.object_ref import ObjectRef
from ray_async.dag.compiled.plan import Step
from ray_async.engine.current import get_session
from ray_async.machine.address import machine_address

__all__ = ("LoopOrder", "start_loop")


@dataclass
class LoopOrder:
    """What an actor is sent to begin its part of a graph.

    Args:
        steps: Its calls, in order.
        constants: Arguments that are no nodes, by slot.
        slots: Size of the frame, in which an execution keeps its values.
        width: References in each of the driver's messages; 0: the driver sends none.
        capacity: Messages that each channel has room for.
        bell: Memory of the actor's bell.
        driver_channel: Memory of the channel from the driver.
        inbound: Memory of the channels that the actor reads.
        outbound: Memory of the channels that the actor writes, and of the bells of their readers.
        ended: A promise that the loop keeps when it ends.
        driver_pid: The process that executes the graph.
    """

    steps: list[Step]
    constants: dict[int, Any]
    slots: int
    width: int
    capacity: int
    bell: ObjectRef[Any]
    driver_channel: ObjectRef[Any] | None
    inbound: list[ObjectRef[Any]]
    outbound: list[tuple[ObjectRef[Any], ObjectRef[Any]]]
    ended: ObjectRef[Any]
    driver_pid: int


class _Failure:
    """Stands in the frame for a value that there is not.

    Args:
        payload: The stored form of the error.
    """

    __slots__ = ("payload",)

    def __init__(self, payload: Any) -> None:
        self.payload = payload


def start_loop(instance: Any, order: LoopOrder) -> int:
    """Start the loop in a thread of this process.

    Args:
        instance: The actor.
        order: What it does.

    Returns:
        The process's id.
    """
    try:
        running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    loop = ActorLoop(instance, order, running)
    threading.Thread(target=loop.serve, name="ray::graph", daemon=True).start()
    return os.getpid()


class ActorLoop:
    """Makes an actor's calls.

    Args:
        instance: The actor.
        order: What it does.
        loop: The actor's event loop, on which its coroutine methods run; None: each call has one of its own.
    """

    def __init__(self, instance: Any, order: LoopOrder, loop: asyncio.AbstractEventLoop | None) -> None:
        session: Any = get_session()
        self._arena = arena = session.arena
        self._dumps = session.dumps
        self._instance = instance
        self._order = order
        self._loop = loop
        bell = Bell(arena, order.bell)
        self._driver = None
        if order.driver_channel is not None:
            self._driver = Channel(arena, order.driver_channel, bell, order.capacity, order.width)
        self._inbound = [Channel(arena, memory, bell, order.capacity, 1) for memory in order.inbound]
        self._outbound = [
            Channel(arena, memory, Bell(arena, theirs), order.capacity, 1) for memory, theirs in order.outbound
        ]
        self._frame: list[Any] = [order.constants.get(slot) for slot in range(order.slots)]
        self._methods = [getattr(instance, step.method) for step in order.steps]
        self._peer = -1
        with contextlib.suppress(AttributeError, OSError):  # no such descriptors here, or the driver has gone already
            self._peer = os.pidfd_open(order.driver_pid)

    def serve(self) -> None:
        """Execute until the graph ends, or the process that executes it."""
        try:
            while self._execute():
                pass
        finally:
            if self._peer >= 0:
                os.close(self._peer)
            if not self._arena.closed:
                store.fulfil(self._arena, self._order.ended, None)

    def _execute(self) -> bool:
        """Make the calls of one execution; False when there will be no more."""
        message: list[ObjectRef[Any]] = []
        if self._driver is not None:
            given = self._driver.receive(self._peer)
            if given is None:
                return False
            message = given
        frame = self._frame.copy()
        for step, method in zip(self._order.steps, self._methods, strict=True):
            for load in step.loads:
                if load.channel < 0:
                    ref = message[load.word]
                else:
                    received = self._inbound[load.channel].receive(self._peer)
                    if received is None:
                        return False
                    ref = received[0]
                frame[load.slot] = self._read(step, ref)
            self._give(step, self._call(step, method, frame), frame, message)
        return True

    def _read(self, step: Step, ref: ObjectRef[Any]) -> Any:
        try:
            failed, value = outcome(self._arena, ref)
        except Exception as error:
            return self._failure(step, error)
        return _Failure(value) if failed else value

    def _call(self, step: Step, method: Any, frame: list[Any]) -> Any:
        args = [frame[slot] for slot in step.args]
        for value in args:
            if type(value) is _Failure:
                return value
        kwargs = {name: frame[slot] for name, slot in step.kwargs.items()}
        for value in kwargs.values():
            if type(value) is _Failure:
                return value
        try:
            result = method(*args, **kwargs)
            if inspect.iscoroutine(result):
                result = self._run(result)
            if step.returns > 1 and len(result) != step.returns:
                raise ValueError(f"{step.label} gave {len(result)} values, and num_returns is {step.returns}.")
        except BaseException as error:  # a thread has no one else to tell
            return self._failure(step, error)
        return result

    def _run(self, coroutine: Any) -> Any:
        if self._loop is None:
            return asyncio.run(coroutine)
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _give(self, step: Step, result: Any, frame: list[Any], message: list[ObjectRef[Any]]) -> None:
        for index, output in step.outputs.items():
            value = result if step.returns == 1 or type(result) is _Failure else result[index]
            frame[output.slot] = value
            if output.promise >= 0:
                ref = message[output.promise]
                self._fulfil(step, ref, value)
            elif output.channels:
                ref = self._store(step, value)
            else:
                continue
            for channel in output.channels:
                self._outbound[channel].send((ref,))

    def _store(self, step: Step, value: Any) -> ObjectRef[Any]:
        if type(value) is not _Failure:
            try:
                return store.put(self._arena, value)
            except Exception as error:
                value = self._failure(step, error)
        ref = store.new_promise(self._arena)
        store.fulfil(self._arena, ref, value.payload, error=True)
        return ref

    def _fulfil(self, step: Step, ref: ObjectRef[Any], value: Any) -> None:
        if type(value) is not _Failure:
            try:
                store.fulfil(self._arena, ref, value)
                return
            except Exception as error:
                value = self._failure(step, error)
        store.fulfil(self._arena, ref, value.payload, error=True)

    def _failure(self, step: Step, error: BaseException) -> _Failure:
        described = errors.RayTaskError.from_exception(
            error,
            function_name=step.label,
            proctitle=f"ray::{step.label}",
            pid=os.getpid(),
            ip=machine_address(),
            actor_repr=type(self._instance).__name__,
        )
        return _Failure(errors.to_payload(described, dumps=self._dumps))
