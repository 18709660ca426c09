"""The seam between these modules and the running session.

`control(op, **fields)` sends one request to the node and returns its reply; `control_ref(op, **fields)` returns an
`ObjectRef` that the node completes. Fields and replies are JSON-able. Both start a session if there is none. An
error that the node answers with is raised here as the exception that it names.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from ray_async.runtime.current import get_session

__all__ = ("ControlSession", "control_session")


class ControlSession(Protocol):
    """What the session offers to modules above it."""

    def control(self, op: str, **fields: Any) -> Any:
        """Send a request to the node and return its reply."""

    def control_ref(self, op: str, **fields: Any) -> Any:
        """Send a request to the node and return a reference to its outcome."""


def control_session() -> ControlSession:
    """Return the session of this process, starting one if there is none."""
    return cast("ControlSession", get_session())
