"""The base of request routers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.serve.autoscaling_config import DeploymentID
from ray_async.serve.request_router.pending_request import PendingRequest, ReplicaResult
from ray_async.serve.request_router.replica import ReplicaID, RunningReplica

__all__ = ("RequestRouter",)


class RequestRouter(ABC):
    """Chooses replicas of one deployment for calls; named by the option `request_router_config`.

    Each process and event loop that calls the deployment has a router of its own, and runs its methods on that loop:
    they must not block it, and what they raise is logged.

    Args:
        deployment_id: The deployment.
        self_node_id: The id of the node that the process is on.
        more: Other arguments that are of no use here; a constructor of one's own passes on all that it gets.

    Example:
        >>> class Uniform(RequestRouter):
        ...     async def choose_replicas(self, candidate_replicas, pending_request=None):
        ...         return [[random.choice(candidate_replicas)]]
    """

    def __init__(self, deployment_id: DeploymentID, self_node_id: str = "", **more: Any) -> None:
        self.deployment_id = deployment_id
        self.self_node_id = self_node_id
        self._replicas: dict[ReplicaID, RunningReplica] = {}

    @property
    def app_name(self) -> str:
        """The deployment's application."""
        return self.deployment_id.app_name

    @property
    def curr_replicas(self) -> Mapping[ReplicaID, RunningReplica]:
        """The replicas that there are, by their ids."""
        return self._replicas

    def initialize_state(self, *args: Any, **kwargs: Any) -> None:  # noqa: B027 - a hook
        """Take the configuration's `request_router_kwargs`; called once, before all else."""

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Take the replicas that there are; called first, and whenever some have come or gone.

        One that overrides this calls this too. A replica is the same object as long as it is there.
        """
        self._replicas = {replica.replica_id: replica for replica in replicas}

    @abstractmethod
    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        """Choose replicas for a call.

        Args:
            candidate_replicas: The replicas that run; one at least. They may be full.
            pending_request: The call.

        Returns:
            Ranks of replicas. The call goes to the least loaded one with room of the first rank that has such. Where
            none has, or there are no ranks, the call waits, and this is asked again.
        """

    def select_available_replicas(self, candidates: Sequence[RunningReplica] | None = None) -> list[RunningReplica]:
        """Give those replicas that have room for a call.

        Args:
            candidates: The replicas to look at; None: all.
        """
        looked_at = self._replicas.values() if candidates is None else candidates
        return [replica for replica in looked_at if replica.has_room]

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: ReplicaResult) -> None:  # noqa: B027
        """Note that a call was sent to a replica.

        Args:
            pending_request: The call.
            replica_id: The replica.
            result: What it will give.
        """

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:  # noqa: B027
        """Note that a replica has died; it is no candidate any more."""
