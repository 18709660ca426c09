"""Replicas, as request routers see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.board import RUNNING, Board
from ray_async.serve.frozen_dataclass import dataclass

if TYPE_CHECKING:
    from ray_async.serve.handle.router import Candidate

__all__ = ("ReplicaID", "RunningReplica")


@dataclass(frozen=True)
class ReplicaID:
    """A replica's identity.

    Args:
        unique_id: The replica's own, unique id.
        deployment_id: Its deployment.
    """

    unique_id: str
    deployment_id: DeploymentID

    def to_full_id_str(self) -> str:
        """The name of the replica's actor, without its prefix."""
        return f"{self.deployment_id.app_name}#{self.deployment_id.name}#{self.unique_id}"

    def __str__(self) -> str:
        return f"Replica(id={self.unique_id!r}, deployment={self.deployment_id.name!r})"


class RunningReplica:
    """A replica that a router may choose; the same object as long as the replica is there.

    Args:
        candidate: The replica, as this process's calls have it.
        deployment: Its deployment.
        board: The board.
        limit: Gives how many requests it takes at a time.
    """

    def __init__(self, candidate: Candidate, deployment: DeploymentID, board: Board, limit: Callable[[], int]) -> None:
        self.candidate = candidate
        self.replica_id = ReplicaID(candidate.name.rpartition("#")[2], deployment)
        self._board = board
        self._limit = limit
        self._version = -1
        self._routing: dict[str, Any] = {}

    @property
    def is_running(self) -> bool:
        """Whether it takes requests."""
        return not self.candidate.dead and self._board.state(self.candidate.slot) == RUNNING

    @property
    def max_ongoing_requests(self) -> int:
        """How many requests it takes at a time."""
        return self._limit()

    @property
    def queue_len(self) -> int:
        """How many requests it works on, or was sent by this process and has not answered."""
        return max(self.candidate.sent, self._board.ongoing(self.candidate.slot))

    @property
    def has_room(self) -> bool:
        """Whether it takes another request now."""
        return self.is_running and self.queue_len < self._limit()

    async def get_queue_len(self, *, deadline_s: float | None = None) -> int:
        """Give `queue_len`; nobody is asked, so it takes no time.

        Args:
            deadline_s: Seconds that it might take; of no use here.
        """
        return self.queue_len

    @property
    def multiplexed_model_ids(self) -> set[str]:
        """The models that it has, or was sent requests for."""
        return self.candidate.models

    @property
    def routing_stats(self) -> Mapping[str, Any]:
        """What the method `record_routing_stats` of the deployment's class gave last; empty before."""
        stats: Mapping[str, Any] = self._published().get("stats", {})
        return stats

    @property
    def node_id(self) -> str:
        """The id of its node."""
        return str(self._published().get("node_id", ""))

    @property
    def availability_zone(self) -> str | None:
        """The zone of its node: None, since one machine is in none."""
        return None

    @property
    def is_cross_language(self) -> bool:
        """Whether it is written in another language: never."""
        return False

    def _published(self) -> dict[str, Any]:
        version = self._board.routing_version(self.candidate.slot)
        if version != self._version:
            self._version = version
            self._routing = self._board.routing(self.candidate.slot)
        return self._routing

    def __repr__(self) -> str:
        return f"RunningReplica({self.replica_id})"
