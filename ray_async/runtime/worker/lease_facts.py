"""The descriptions of the scheduling classes that a worker serves."""

from __future__ import annotations

import json
from typing import Any

from ray_async._core import submission
from ray_async._core.arena import Arena

__all__ = ("LeaseFacts",)

_KEPT = 64  # classes end: a worker that serves one after the other is not to remember them all


class LeaseFacts:
    """Reads descriptions, each once.

    Args:
        arena: the session's shared memory, joined.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._read: dict[int, dict[str, Any]] = {}  # by the number of the description

    def of(self, class_id: int) -> dict[str, Any]:
        """What a class that is served at the moment wants."""
        number = submission.class_seq(self._arena, class_id)
        facts = self._read.get(number)
        if facts is None:
            if len(self._read) >= _KEPT:
                del self._read[next(iter(self._read))]
            facts = self._read[number] = json.loads(submission.read_class_spec(self._arena, class_id))
        return facts
