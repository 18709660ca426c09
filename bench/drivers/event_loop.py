"""The event loop that drivers run their coroutines on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ("run_loop",)

R = TypeVar("R")


def run_loop(main: Coroutine[Any, Any, R]) -> R:
    """Run on uvloop where this interpreter has it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
