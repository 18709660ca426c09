"""The scheduling classes that a process submits to, and the descriptions of what it wants to run."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from ray_async._core import store, submission
from ray_async.spec.class_description import ClassDescription, Environment
from ray_async.spec.placement import Placement, describe_placement

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef
    from ray_async.runtime.session.core_session import CoreSession
    from ray_async.spec.actor_options import ActorOptions
    from ray_async.spec.task_options import TaskOptions

__all__ = ("SchedulingClass", "SchedulingClasses")

_RECENT_CLASSES = 8  # classes that are kept a while longer than what uses them: the next call may want the same
_PATIENCE_S, _LONGEST_PAUSE_S = 10.0, 0.1


class SchedulingClass:
    """A use of a class: the class lasts for as long as any process has one, and records of it may run.

    Attributes:
        queue: offset of the class's queue.
    """

    __slots__ = ("__weakref__", "_reference", "queue")

    def __init__(self, queue: int, reference: ObjectRef[bytes]) -> None:
        self.queue = queue
        self._reference = reference


class SchedulingClasses:
    """The classes that this process uses.

    Args:
        session: whose job, environment and shared memory they belong to.
        added: called with the id and the description of a class that was not there before.
    """

    def __init__(self, session: CoreSession, added: Callable[[int, ClassDescription], None]) -> None:
        self._session = session
        self._added = added
        self._used: WeakValueDictionary[bytes, SchedulingClass] = WeakValueDictionary()
        self._recent: deque[SchedulingClass] = deque(maxlen=_RECENT_CLASSES)
        self._lock = threading.RLock()

    def place(self, options: TaskOptions | ActorOptions) -> tuple[Placement, str, Environment | None]:
        """Where a task or actor with these options runs, the key of its environment, and the environment."""
        session = self._session
        group, captures = session.inherited_group()
        place = describe_placement(options, inherited_group=group, captures=captures)
        environment = self._environment(options.runtime_env)
        if not environment:
            return place, f"{session.job_number}:", None
        from ray_async.runtime_env.worker_setup import environment_key

        return place, f"{session.job_number}:{environment_key(environment)}", environment

    def describe(self, options: TaskOptions, is_async: bool, tasks_per_worker: int) -> ClassDescription:
        """What tasks with these options need, want and run in."""
        place, env_key, environment = self.place(options)
        return ClassDescription(place, self._session.job_number, env_key, environment, is_async, tasks_per_worker)

    def _environment(self, given: Mapping[str, object] | None) -> Environment:
        """The environment of a call: the job's (or the running task's), with what is given merged over it."""
        description = self._session.description
        own = description.get("runtime_env") or {}
        if not given:
            return dict(own)
        from ray_async.runtime_env.packaging import package_env
        from ray_async.runtime_env.runtime_env import merge_runtime_env

        merged = merge_runtime_env(own, given)
        return dict(package_env(merged, description["session_dir"], dumps=self._session.dumps))

    def use(self, description: ClassDescription) -> SchedulingClass:
        """The class with this description, which is made where there is none in the session.

        Raises:
            RuntimeError: the session has as many classes as it can have, and all of them are in use.
        """
        key = description.encode()
        with self._lock:
            found = self._used.get(key)
            if found is None:
                found = self._used[key] = self._find(key, description)
            if not self._recent or self._recent[-1] is not found:
                self._recent.append(found)
            return found

    def _find(self, key: bytes, description: ClassDescription) -> SchedulingClass:
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
            self._added(class_id, description)
        return SchedulingClass(queue, reference)

    def clear(self) -> None:
        """Drop the references."""
        self._recent.clear()
        self._used.clear()
