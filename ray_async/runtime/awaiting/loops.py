"""Awaiting references: one waiter for each event loop of the process."""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from ray_async._core import awaiting
from ray_async._core.loop_waiter import LoopWaiter
from ray_async.exceptions import RayTaskError
from ray_async.runtime.awaiting.patience import Patience
from ray_async.runtime.session import read_errors

__all__ = ("LoopBinding", "Loops")

_GRACE_S = 0.002


class LoopBinding:
    """One loop's waiter, watched by that loop.

    Args:
        arena: the session's shared memory.
        loop: the running loop.
        waiter: a waiter of a loop that is gone, to be used again; None for a new one.
        node_fd: becomes readable when the node process is gone; -1: not watched.
    """

    def __init__(self, arena: Any, loop: asyncio.AbstractEventLoop, waiter: Any, node_fd: int, died: Any) -> None:
        self.loop = weakref.ref(loop)
        self.waiter = waiter if waiter is not None else LoopWaiter(arena)
        self.waiter_index: int = self.waiter.index
        self.waiter.loop = self.loop
        self.waiter.on_watch = self._watched
        self.waiter.before_run = None
        self.waiter.rests = True
        self._arena = arena
        self._wake: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._patience = Patience()
        self._sleepers: set[asyncio.Future[None]] = set()
        self._node_fd = node_fd
        self._died = died
        self.waiter.begin()
        loop.add_reader(self.waiter.fileno(), self._on_readable)
        if node_fd >= 0:
            loop.add_reader(node_fd, self._on_node_death)

    def on_wake(self, callback: Callable[[], None]) -> None:
        """Also call this at each wake-up."""
        self._wake = callback
        self.waiter.rests = False

    def before_resuming(self, callback: Callable[[], None]) -> None:
        """Also call this before coroutines go on whose references have completed."""
        self.waiter.before_run = callback

    def _on_readable(self) -> None:
        self.waiter.on_readable()
        self._woken()

    def _woken(self) -> None:
        self.consider_lending()
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
        if self._wake is not None:
            self._wake()

    async def woken(self, timeout: float) -> None:
        """Wait for the next wake-up of the loop by another process, at most so many seconds."""
        self.waiter.rests = False
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait([sleeper], timeout=timeout)
        finally:
            self._sleepers.discard(sleeper)

    def _watched(self) -> None:
        self.consider_lending()
        self.consider_looking()

    def consider_looking(self) -> None:
        """Look for what a sole waiter waits for before the loop sleeps, if that has been of use lately."""
        if self.waiter.n_pending != 1:
            return
        loop = self.loop()
        if loop is not None and self._patience.allows():
            loop.call_soon(self._look, self.waiter.n_settled)  # after all that the loop has to do now

    def _look(self, n_settled: int) -> None:
        if self.waiter.n_pending == 1:
            self.waiter.linger()
            self.waiter.run_ready()
            self._patience.note(in_vain=self.waiter.n_settled == n_settled)
            self._woken()

    def consider_lending(self) -> None:
        """Lend the CPU that a worker holds, should its loop do nothing but wait for references for a moment."""
        if self._arena.gives_cpu_back and self._timer is None and self.waiter.n_pending and not self.waiter.lent:
            loop = self.loop()
            if loop is not None:
                self._timer = loop.call_later(_GRACE_S, self._lend, self.waiter.n_settled)

    def _lend(self, n_settled: int) -> None:
        self._timer = None
        if self.waiter.n_settled != n_settled:
            self.consider_lending()
        elif self.waiter.n_pending and self._arena.gives_cpu_back:
            self.waiter.lend()

    def _on_node_death(self) -> None:
        self.close_readers()
        self._arena.note_node_death()
        self.waiter.fail_all(self._died())

    def close_readers(self) -> None:
        """Stop watching, if the loop still lives."""
        loop = self.loop()
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self.waiter.fileno())
            if self._node_fd >= 0:
                loop.remove_reader(self._node_fd)

    def end(self, error: BaseException) -> None:
        """Leave the loop; who still waits gets the error, on the loop's own thread."""
        loop = self.loop()
        if loop is None or loop.is_closed() or not loop.is_running() or asyncio._get_running_loop() is loop:
            self._end(error)
        else:
            loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException) -> None:
        loop = self.loop()
        self.close_readers()
        if loop is not None and not loop.is_closed():
            self.waiter.fail_all(error)
        self.waiter.close()


class Loops:
    """The bindings of a process's loops; loops come and go.

    Args:
        session: whose references are awaited.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._bindings: dict[int, LoopBinding] = {}
        self._spare: list[Any] = []
        # Loops of several threads come and go at the same time.
        self._lock = threading.Lock()

    def binding(self) -> LoopBinding:
        """The running loop's binding."""
        loop = asyncio.get_running_loop() if asyncio._get_running_loop() is not None else self._session.own_loop()
        found = self._bindings.get(id(loop))
        if found is not None and found.loop() is loop:
            return found
        with self._lock:
            self.collect()
            waiter = self._spare.pop() if self._spare else None
            found = LoopBinding(self._session.arena, loop, waiter, self._session.node_fd(), self._session.node_died)
            self._bindings[id(loop)] = found
        return found

    def collect(self) -> None:
        """Take the waiters of loops that are closed or gone, for new ones, and the CPU that they had lent."""
        for key, binding in list(self._bindings.items()):
            loop = binding.loop()
            if loop is None or loop.is_closed():
                binding.waiter.forget_all()
                self._spare.append(binding.waiter)
                del self._bindings[key]

    def settled(self, ref: Any) -> Awaitable[None]:
        """Wait until ``ref`` is complete, without reading it."""
        return awaiting.settled(ref)

    def as_future(self, ref: Any) -> asyncio.Future[Any]:
        """A future of the running loop for the value."""
        future = asyncio.get_running_loop().create_future()
        settle = functools.partial(_settle, future)
        ref.add_done_callback(settle)
        future.add_done_callback(lambda _: ref.remove_done_callback(settle))
        return future

    def close(self) -> None:
        """Leave all loops; what they still wait for fails."""
        ended = read_errors.session_ended()
        for binding in self._bindings.values():
            binding.end(ended)
        for waiter in self._spare:
            waiter.close()
        self._bindings.clear()
        self._spare.clear()
        awaiting.forget()


def _settle(future: asyncio.Future[Any], ref: Any) -> None:
    """Give a future the outcome of a reference."""
    if future.done():
        return
    error = ref.exception()
    if error is None:
        future.set_result(ref.result())
    else:
        future.set_exception(error)


def _awaitable(error: StopIteration) -> BaseException:
    """What is raised for a StopIteration, which would be taken for the value."""
    return error.as_awaitable_cause() if isinstance(error, RayTaskError) else RuntimeError("the stream is over")


def _report(loop: asyncio.AbstractEventLoop, callback: Any, error: BaseException) -> None:
    """Hand the loop what a callback has raised."""
    loop.call_exception_handler({"message": f"Exception in callback {callback!r}", "exception": error})


awaiting.install(
    running_loop=asyncio._get_running_loop,
    cancelled_error=asyncio.CancelledError,
    invalid_state_error=asyncio.InvalidStateError,
    awaitable=_awaitable,
    report=_report,
)
