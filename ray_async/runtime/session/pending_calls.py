"""``max_pending_calls``: a bound on the calls that one handle has outstanding."""

from __future__ import annotations

import weakref
from typing import Any

from ray_async import exceptions as errors
from ray_async._core import store, submission

__all__ = ("LimitedTemplate",)

#: For each actor and process: calls that may not be finished, by a reference. A stream's is known by its record and the
#: record's number, since a reference would count as a reader.
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
        calls[:] = [call for call in calls if self._is_pending(call)]
        if len(calls) >= self._limit:
            raise errors.PendingCallsLimitExceeded(
                f"The actor {self._class_name} has {len(calls)} pending calls, and max_pending_calls is {self._limit}: "
                "wait for some of them first."
            )
        result = self._template(args, kwargs)
        if hasattr(result, "_cursor"):
            record = submission.record_of(result._cursor.done)
            calls.append((record, submission.record_seq(self._session.arena, record)))
        elif result is not None:
            calls.append(result[0] if isinstance(result, list) else result)
        return result

    def _is_pending(self, call: Any) -> bool:
        arena = self._session.arena
        if isinstance(call, tuple):
            return submission.is_unfinished(arena, *call)
        return not store.is_ready(arena, call)
