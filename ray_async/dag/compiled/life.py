"""The life of a compiled graph: its executions that are not over, and how it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

from ray_async import exceptions as errors
from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.channel import Bell
from ray_async._core.object_ref import ObjectRef
from ray_async.spec.descriptors import BUILTIN_METHODS
from ray_async.spec.method_options import MethodOptions

__all__ = ("GraphExecution", "Life", "Member")


class GraphExecution:
    """One execution.

    Args:
        index: Its number.
        promises: Its results, each once.
        wanted: How many results may still be asked for.
    """

    __slots__ = ("__weakref__", "index", "promises", "wanted")

    def __init__(self, index: int, promises: Sequence[ObjectRef[Any]], wanted: int) -> None:
        self.index = index
        self.promises = promises
        self.wanted = wanted


class Member:
    """An actor of the graph.

    Args:
        session: The session.
        core: The actor.
        order: What it is to do.
    """

    def __init__(self, session: Any, core: Any, order: Any) -> None:
        from ray_async.dag.compiled.actor_loop import start_loop

        self.core = core
        self.ended: ObjectRef[Any] = order.ended
        self._session = session
        # Once: a second process of the actor would wait for messages that the first one has read.
        once = MethodOptions(max_task_retries=0)
        self.started: ObjectRef[Any] = self._call("__ray_call__", (start_loop, order), once)

    def _call(self, method: str, args: tuple[Any, ...], options: MethodOptions) -> Any:
        # not through a handle, whose calls find the process's session by themselves, when this one has ended already
        return self._session.actor_template(self.core, BUILTIN_METHODS[method], options)(args, None)

    def death(self) -> BaseException:
        """Why its process is gone."""
        while True:
            try:
                self._session.get([self._call("__ray_ready__", (), MethodOptions())], None)
            except (
                errors.ActorUnavailableError
            ):  # it was in the process that died, and the actor is to have another one
                continue
            except errors.RayError as error:
                return error
            return errors.RayChannelError(
                "The actor was restarted, and is no part of the graph any more: compile it again."
            )


class Life:
    """What a compiled graph shares with those who end it: its user, the session, and who watches the actors.

    Args:
        session: The session.
        arena: Its shared memory.
        bells: Of all actors.
    """

    def __init__(self, session: Any, arena: Arena, bells: Sequence[Bell]) -> None:
        self.session = session
        self.arena = arena
        self.members: list[Member] = []
        self.lock = threading.RLock()
        #: Executions that are not over, by their numbers.
        self.running: dict[int, GraphExecution] = {}
        # Why the graph has ended, as a payload: an error that was raised refers to frames, and those to the graph.
        self._end: bytes | None = None
        self._bells = bells
        self._stop = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        self.watch: threading.Thread | None = None

    @property
    def stop_descriptor(self) -> int:
        """Readable once nobody needs to be watched any more."""
        return self._stop[0]

    @property
    def is_over(self) -> bool:
        """Whether the graph has ended."""
        return self._end is not None

    def check(self) -> None:
        """Raise the error by which the graph has ended, a new one each time; nothing where it has not."""
        if self._end is not None:
            raise errors.from_payload(self._end)

    def finish(self, error: BaseException) -> bool:
        """End the graph: the actors' loops end, and who waits for a result gets the error.

        Returns:
            Whether it had not ended before: only the first error counts.
        """
        with self.lock:
            if self._end is not None:
                return False
            payload = self._end = errors.to_payload(error, dumps=self.session.dumps)
            for bell in self._bells:
                bell.close()
            for execution in self.running.values():
                for promise in execution.promises:
                    store.fulfil(self.arena, promise, payload, error=True)
            self.running.clear()
        return True

    def member_died(self, member: Member) -> None:
        """An actor's process is gone: the graph ends, for the reason that its calls give."""
        self.finish(member.death())
        store.fulfil(self.arena, member.ended, None)

    def stop_watching(self) -> None:
        """Have the thread that watches the actors end, and wait for that."""
        with self.lock:
            watch, self.watch = self.watch, None
            if watch is None:
                return
            os.write(self._stop[1], b"x")
        if watch is not threading.current_thread():
            watch.join()
        os.close(self._stop[0])
        os.close(self._stop[1])
