"""Left handlers: those that go on when their requests are over, in threads most often, and hold their slots."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

__all__ = ("cancel_handler",)

logger = logging.getLogger("ray_async.serve")

_HELD_S = 1.0  # seconds after which a handler that goes on after its request's end is told of

_left: set[asyncio.Task[Any]] = set()  # somebody must refer to them


def cancel_handler(task: asyncio.Task[Any], request_id: str) -> None:
    """Cancel the task of a handler whose request is over; what it does after that is logged, once.

    Args:
        task: What runs the handler.
        request_id: The request's id.
    """
    task.cancel()
    _left.add(task)
    held = task.get_loop().call_later(_HELD_S, _say_held, request_id)

    def ended(task: asyncio.Task[Any]) -> None:
        _left.discard(task)
        held.cancel()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("Request %s failed after its end.", request_id, exc_info=error)

    task.add_done_callback(ended)


def _say_held(request_id: str) -> None:
    logger.warning("Request %s is over, but its handler goes on, and holds a slot.", request_id)
