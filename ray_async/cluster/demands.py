"""Demands that no node of the cluster can meet: nothing waits in silence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

__all__ = ("Demands",)

_PATIENCE_S = 3.0  # a node that has it may be about to join


class Demands:
    """Tells of what waits for a node that the cluster does not have.

    Args:
        warn: called with a sentence, once for each kind of demand.
        now: the time in seconds.
    """

    def __init__(self, warn: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._now = now
        self._since: dict[tuple[tuple[str, float], ...], float] = {}
        self._told: set[tuple[tuple[str, float], ...]] = set()

    def seen(self, resources: Mapping[str, float], feasible: bool) -> None:
        """Room was sought for something; ``feasible`` says whether any node could ever have it."""
        kind = tuple(sorted(resources.items()))
        if feasible:
            self._since.pop(kind, None)
            self._told.discard(kind)
        elif kind not in self._since:
            self._since[kind] = self._now()
        elif kind not in self._told and self._now() - self._since[kind] >= _PATIENCE_S:
            self._told.add(kind)
            self._warn(f"No node of the cluster has {dict(resources)} in total. What needs it waits for one that has.")
