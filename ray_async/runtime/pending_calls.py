"""``max_pending_calls``: a bound on the calls that one handle has outstanding."""

from __future__ import annotations

import weakref
from typing import Any

from ray_async import exceptions as errors
from ray_async._core import store

__all__ = ("LimitedTemplate",)

#: For each actor and process: references of calls that may not be finished.
_outstanding: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


class LimitedTemplate:
    """A template that refuses a call when too many are unfinished.

    Args:
        session: the process's session.
        core: the actor.
        template: what submits.
        limit: calls.
        class_name: for the message.
    """

    def __init__(self, session: Any, core: Any, template: Any, limit: int, class_name: str) -> None:
        self._session = session
        self._core = core
        self._template = template
        self._limit = limit
        self._class_name = class_name

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None, /) -> Any:
        """Submit a call.

        Raises:
            PendingCallsLimitExceeded: the handle has as many unfinished calls as it may.
        """
        calls = _outstanding.setdefault(self._core, [])
        calls[:] = [ref for ref in calls if not store.is_ready(self._session.arena, ref)]
        if len(calls) >= self._limit:
            raise errors.PendingCallsLimitExceeded(
                f"The actor {self._class_name} has {len(calls)} pending calls, and max_pending_calls is {self._limit}: "
                "wait for some of them first."
            )
        result = self._template(args, kwargs)
        first = result[0] if isinstance(result, list) else getattr(result, "_cursor", None) or result
        if first is not None:
            calls.append(getattr(first, "done", first))
        return result
