"""The context of compiled graphs: limits and timeouts, from the environment and changed by programs."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ("DAGContext",)


def _number(name: str, default: float) -> float:
    for prefix in ("RAY_ASYNC_CGRAPH_", "RAY_CGRAPH_"):
        if prefix + name in os.environ:
            return float(os.environ[prefix + name])
    return default


def _count(name: str, default: int) -> int:
    return int(_number(name, default))


@dataclass
class DAGContext:
    """Defaults of compiled graphs; each is read from the environment's ``RAY_CGRAPH_<name>`` at first use.

    Args:
        submit_timeout: Seconds that `execute` waits for room.
        get_timeout: Seconds that `get` waits for a result.
        teardown_timeout: Seconds that `teardown` waits for the actors' loops to end.
        read_iteration_timeout: Accepted, and not needed: nothing is read in turns.
        buffer_size_bytes: Accepted, and not needed: buffers are as large as what is in them.
        max_inflight_executions: How many executions may have results that were not fetched.
        max_buffered_results: Accepted, and not needed: results that were not fetched count as in flight.
        overlap_gpu_communication: Accepted, and not needed.
    """

    submit_timeout: float = field(default_factory=lambda: _number("submit_timeout", 10))
    get_timeout: float = field(default_factory=lambda: _number("get_timeout", 10))
    teardown_timeout: float = field(default_factory=lambda: _number("teardown_timeout", 30))
    read_iteration_timeout: float = field(default_factory=lambda: _number("read_iteration_timeout_s", 0.1))
    buffer_size_bytes: int = field(default_factory=lambda: _count("buffer_size_bytes", 1_000_000))
    max_inflight_executions: int = field(default_factory=lambda: _count("max_inflight_executions", 10))
    max_buffered_results: int = field(default_factory=lambda: _count("max_buffered_results", 1000))
    overlap_gpu_communication: bool = field(default_factory=lambda: bool(_count("overlap_gpu_communication", 0)))

    _current: ClassVar[DAGContext | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @staticmethod
    def get_current() -> DAGContext:
        """The process's context."""
        with DAGContext._lock:
            if DAGContext._current is None:
                DAGContext._current = DAGContext()
            return DAGContext._current
