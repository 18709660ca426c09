"""The seam between these modules and the running session.

`control(op, **fields)` sends one request to the node and returns its reply; `control_ref(op, **fields)` returns an
`ObjectRef` that the node completes. Fields and replies are JSON-able. Both start a session if there is none. An
error that the node answers with is raised here as the exception that it names.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

from ray_async.engine.current import get_session, slot

__all__ = ("ControlSession", "control_session", "result_is_wanted")


class ControlSession(Protocol):
    """What the session offers to modules above it."""

    def control(self, op: str, **fields: Any) -> Any:
        """Send a request to the node and return its reply."""

    def control_ref(self, op: str, **fields: Any) -> Any:
        """Send a request to the node and return a reference to its outcome."""


def control_session() -> ControlSession:
    """Return the session of this process, starting one if there is none."""
    return cast("ControlSession", get_session())


@runtime_checkable
class _Worker(Protocol):
    def result_is_wanted(self) -> bool:
        """Whether anybody can still read what the running call returns."""


def result_is_wanted() -> bool:
    """Whether anybody can still read what the running call returns; False once all who could have ended."""
    session: object = slot.session
    return not isinstance(session, _Worker) or session.result_is_wanted()
