"""What the current thread or asyncio task executes."""

from __future__ import annotations

import contextvars
from typing import Any, NamedTuple

__all__ = ("Running", "running")


class Running(NamedTuple):
    """One execution of a record."""

    record: int
    seq: int
    name: str
    function_name: str
    options: dict[str, Any]


running: contextvars.ContextVar[Running | None] = contextvars.ContextVar("ray_async_running", default=None)
