"""The scheduling classes that a process submits to, and the descriptions of what it wants to run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from ray_async._core import store, submission
from ray_async.runtime import placement_spec

if TYPE_CHECKING:
    from ray_async.runtime.session.core_session import CoreSession

__all__ = ("SchedulingClass", "SchedulingClasses")

_RECENT = 8  # classes that are kept a while longer than what uses them: the next call may want the same
_PATIENCE_S, _LONGEST_PAUSE_S = 10.0, 0.1


class SchedulingClass:
    """A use of a class: the class lasts for as long as any process has one, and records of it may run.

    Attributes:
        queue: offset of the class's queue.
    """

    __slots__ = ("__weakref__", "_reference", "queue")

    def __init__(self, queue: int, reference: Any) -> None:
        self.queue = queue
        self._reference = reference


class SchedulingClasses:
    """The classes that this process uses.

    Args:
        session: whose job, environment and shared memory they belong to.
        added: called with the id and the description of a class that was not there before.
    """

    def __init__(self, session: CoreSession, added: Callable[[int, dict[str, Any]], None]) -> None:
        self._session = session
        self._added = added
        self._used: WeakValueDictionary[bytes, SchedulingClass] = WeakValueDictionary()
        self._recent: deque[SchedulingClass] = deque(maxlen=_RECENT)
        self._lock = threading.RLock()

    def describe(self, options: Any) -> dict[str, Any]:
        """What a task or actor with these options needs, wants and runs in."""
        session = self._session
        group, captures = session.inherited_group()
        spec = placement_spec.describe(options, inherited_group=group, captures=captures)
        spec["job"] = session.job_number
        environment = self._environment(options.runtime_env)
        if environment:
            from ray_async.runtime_env.worker_setup import environment_key

            spec["runtime_env"] = environment
            spec["env_key"] = f"{session.job_number}:{environment_key(environment)}"
        else:
            spec["env_key"] = f"{session.job_number}:"
        return spec

    def _environment(self, given: Any) -> dict[str, Any]:
        """The environment of a call: the job's (or the running task's), with what is given merged over it."""
        facts = self._session.facts
        own = facts.get("runtime_env") or {}
        if not given:
            return dict(own)
        from ray_async.runtime_env.packaging import package_env
        from ray_async.runtime_env.runtime_env import merge_runtime_env

        return dict(package_env(merge_runtime_env(own, given), facts["session_dir"], dumps=self._session.dumps))

    def use(self, spec: dict[str, Any]) -> SchedulingClass:
        """The class with this description, which is made where there is none in the session.

        Raises:
            RuntimeError: the session has as many classes as it can have, and all of them are in use.
        """
        key = placement_spec.encode(spec)
        with self._lock:
            found = self._used.get(key)
            if found is None:
                found = self._used[key] = self._find(key, spec)
            if not self._recent or self._recent[-1] is not found:
                self._recent.append(found)
            return found

    def _find(self, key: bytes, spec: dict[str, Any]) -> SchedulingClass:
        """Find or make a class; where the table is full, wait until the node has ended some."""
        arena = self._session.arena
        deadline, pause = time.monotonic() + _PATIENCE_S, 0.001
        found = submission.get_class(arena, None, key) or submission.get_class(arena, store.put_raw(arena, key), key)
        while found is None:
            self._recent.clear()
            if time.monotonic() > deadline:
                raise RuntimeError(
                    "this session has tasks of too many different combinations of resources, environment and strategy: "
                    "4095 are in use at the same time"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            found = submission.get_class(arena, store.put_raw(arena, key), key)
        class_id, queue, reference, made = found
        if made:
            self._added(class_id, spec)
        return SchedulingClass(queue, reference)

    def clear(self) -> None:
        """Drop the references."""
        self._recent.clear()
        self._used.clear()
