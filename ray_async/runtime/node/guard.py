"""Guard around steps: one that fails does not keep the others from being taken."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

__all__ = ("guarded",)

_logger = logging.getLogger("ray_async.node")


def guarded(action: Callable[..., None], *arguments: Any, what: str = "") -> None:
    """Take one of several steps that are to be taken whatever becomes of the others.

    What a step finds in the arena is other processes' doing, which must neither end the node nor stop its other work.

    Args:
        action: the step; ``arguments`` are its own.
        what: names the step in the log, should it fail.
    """
    try:
        action(*arguments)
    except Exception:
        _logger.exception("%s failed", what or getattr(action, "__qualname__", action))
