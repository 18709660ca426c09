"""The default choice, as a router that others may inherit."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ray_async.serve.request_router.base import RequestRouter
from ray_async.serve.request_router.mixins import FIFOMixin, LocalityMixin, MultiplexMixin
from ray_async.serve.request_router.pending_request import PendingRequest
from ray_async.serve.request_router.replica import RunningReplica

__all__ = ("PowerOfTwoChoicesRequestRouter",)


class PowerOfTwoChoicesRequestRouter(FIFOMixin, LocalityMixin, MultiplexMixin, RequestRouter):
    """Draws two replicas by lot, of which the less loaded one gets the call; those with the wanted model go first.

    Named as it is, and not inherited from, it is not asked at all: routers choose like this by themselves.
    """

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        """Choose for each rank of models two of the replicas that have room."""
        model_id = "" if pending_request is None else pending_request.metadata.multiplexed_model_id
        free = self.select_available_replicas(candidate_replicas)
        ranks = self.rank_replicas_via_multiplex(free, model_id) if model_id else [free]
        return [random.sample(rank, min(2, len(rank))) for rank in ranks]
