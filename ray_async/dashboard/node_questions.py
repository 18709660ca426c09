"""Questions to a node about what the dashboard shows, asked while somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ray_async.engine.registry import get_engine
from ray_async.util import state

__all__ = ("KINDS", "NodeQuestions")

T = TypeVar("T")

#: What can be listed, by its name in the API: the end of its functions' names, and the field that identifies a row.
KINDS: Mapping[str, tuple[str, str]] = {
    "actors": ("actors", "actor_id"),
    "nodes": ("nodes", "node_id"),
    "objects": ("objects", "object_id"),
    "placement_groups": ("placement_groups", "placement_group_id"),
    "tasks": ("tasks", "task_id"),
    "workers": ("workers", "worker_id"),
}
_PATIENCE_S = 30.0
#: Seconds for which an overview is shown again, so that many browsers ask as much as one; and from one to the next.
#: Both are longer where the answer takes the node long, as with many thousands of tasks.
_FRESH_S = 0.5
_TICK_S = 1.0
_FRESH_SHARE = 20
_TICK_SHARE = 40


class NodeQuestions:
    """Asks a node.

    Args:
        address: the node's.
        clock: seconds that only grow.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.address = address
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="question")
        self._overview: dict[str, Any] = {}
        self._clock = clock
        self._asked = float("-inf")
        self._took = 0.0
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run what waits for the node, or reads files, without holding up other requests."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)

    async def rows(
        self, kind: str, filters: Sequence[tuple[str, str, str]] = (), limit: int = 100, offset: int = 0
    ) -> list[dict[str, Any]]:
        """List what there is of a kind.

        Args:
            kind: one of `KINDS`.
            filters: conditions ``(field, "=" or "!=", value)``.
            limit, offset: most rows, and how many to leave out before the first.

        Raises:
            RayStateApiException: the node does not answer, or a filter or number is wrong.
        """
        ask = getattr(state, f"list_{KINDS[kind][0]}")
        found = await self.in_thread(lambda: ask(self.address, list(filters), limit, _PATIENCE_S, offset=offset))
        return [row.asdict() for row in found]

    async def summary(self, kind: str) -> dict[str, Any]:
        """Count tasks by function, or actors by class, and their states; errors as in `rows`."""
        ask = state.summarize_tasks if kind == "tasks" else state.summarize_actors
        return await self.in_thread(lambda: ask(self.address, _PATIENCE_S))

    async def overview(self) -> dict[str, Any]:
        """The figures of the first page: resources, what waits for them, and counts of tasks, actors and objects."""
        async with self._lock:
            begun = self._clock()
            if begun > self._asked + max(_FRESH_S, _FRESH_SHARE * self._took):
                self._overview = await self.in_thread(self._ask_overview)
                self._asked = self._clock()
                self._took = self._asked - begun
            return self._overview

    @property
    def pause_s(self) -> float:
        """Seconds from one overview to the next."""
        return max(_TICK_S, _TICK_SHARE * self._took)

    def _ask_overview(self) -> dict[str, Any]:
        node = get_engine().state_at(self.address)
        tasks, actors, objects = (
            ask(self.address, _PATIENCE_S)["cluster"]
            for ask in (state.summarize_tasks, state.summarize_actors, state.summarize_objects)
        )
        return {
            "address": self.address,
            "time_ms": time.time_ns() // 1_000_000,
            "nodes": sum(row["state"] == "ALIVE" for row in state.list_nodes(self.address)),
            "total": node.cluster_resources(),
            "available": node.available_resources(),
            "waiting": node.pending_demands(),
            "store": node.store_figures(),
            "tasks": {name: entry["state_counts"] for name, entry in tasks["summary"].items()},
            "actors": {name: entry["state_counts"] for name, entry in actors["summary"].items()},
            "objects": objects["summary"],
        }
