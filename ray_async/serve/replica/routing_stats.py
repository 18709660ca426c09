"""Routing statistics: what a replica tells routers of the user's, on the board and beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import ray_async as ray
from ray_async.serve.board import Board
from ray_async.serve.request_router.config import RequestRouterConfig

__all__ = ("RoutingStats",)

logger = logging.getLogger("ray_async.serve")
Record = Callable[[], Awaitable[Any]]


class RoutingStats:
    """Tells of a replica's node, and again and again what its class records; used on the replica's loop alone.

    Args:
        board: The board.
        place: The replica's slot on the board.
        record: Gives what the class records; None: it records nothing.
    """

    def __init__(self, board: Board, place: int, record: Record | None) -> None:
        self._board = board
        self._place = place
        self._record = record
        self._config: RequestRouterConfig | None = None
        self._task: asyncio.Task[None] | None = None
        board.publish_routing(place, {})  # the replica that had the slot before may have told something

    def configure(self, config: RequestRouterConfig | None) -> None:
        """Tell as often as a configuration says; None: nothing more."""
        if config == self._config:
            return
        self._config = config
        self.close()
        if config is None:
            return
        self._tell({})
        if self._record is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(config, self._record))

    def close(self) -> None:
        """Tell nothing more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, config: RequestRouterConfig, record: Record) -> None:
        while True:
            try:
                async with asyncio.timeout(config.request_routing_stats_timeout_s):
                    stats = await record()
                if not isinstance(stats, dict):
                    raise TypeError(f"it must return a dict, but returned {stats!r:.200}")
                self._tell(stats)
            except Exception as error:  # the user's: routers go on with what was told last
                logger.warning("record_routing_stats failed: %s: %s", type(error).__name__, error)
            await asyncio.sleep(config.request_routing_stats_period_s)

    def _tell(self, stats: dict[str, Any]) -> None:
        node_id = str(ray.get_runtime_context().get_node_id())
        self._board.publish_routing(self._place, {"node_id": node_id, "stats": stats})
