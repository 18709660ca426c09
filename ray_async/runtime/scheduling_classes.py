"""The scheduling classes that a process submits to, and the descriptions of what it wants to run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async._core import store, submission
from ray_async.runtime import placement_spec

if TYPE_CHECKING:
    from ray_async.runtime.session import CoreSession

__all__ = ("SchedulingClasses",)


class SchedulingClasses:
    """The classes that this process has found or made.

    Args:
        session: whose job, environment and shared memory they belong to.
        added: called with the id and the description of a class that was not there before.
    """

    def __init__(self, session: CoreSession, added: Callable[[int, dict[str, Any]], None]) -> None:
        self._session = session
        self._added = added
        self._found: dict[bytes, tuple[int, Any]] = {}  # queue, and reference of the description
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

        return dict(package_env(merge_runtime_env(own, given), facts["session_dir"]))

    def queue(self, spec: dict[str, Any]) -> int:
        """The queue of the class with this description, which is made where there is none."""
        key = placement_spec.encode(spec)
        with self._lock:
            found = self._found.get(key)
            if found is None:
                arena = self._session.arena
                ref = store.put_raw(arena, key)
                class_id, queue = submission.new_class(arena, ref)
                found = self._found[key] = (queue, ref)
                self._added(class_id, spec)
            return found[0]

    def clear(self) -> None:
        """Drop the references."""
        self._found.clear()
