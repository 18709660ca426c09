"""Parts of request routers: order, nodes, and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ray_async.serve.request_router.replica import RunningReplica

if TYPE_CHECKING:
    from ray_async.serve.request_router.base import RequestRouter as _Base
else:
    _Base = object

__all__ = ("FIFOMixin", "LocalityMixin", "MultiplexMixin")


class FIFOMixin:
    """Gives each replica that is chosen to the call that has waited longest, whichever call it was chosen for."""


class LocalityMixin(_Base):
    """Knows which replicas are on the caller's node."""

    def rank_replicas_via_locality(self, replicas: Iterable[RunningReplica]) -> Sequence[Sequence[RunningReplica]]:
        """Rank replicas: those on the caller's node, then the others."""
        near: list[RunningReplica] = []
        far: list[RunningReplica] = []
        for replica in replicas:
            (near if replica.node_id == self.self_node_id else far).append(replica)
        return [rank for rank in (near, far) if rank]


class MultiplexMixin(_Base):
    """Knows which replicas have a model."""

    def rank_replicas_via_multiplex(
        self, replicas: Iterable[RunningReplica], multiplexed_model_id: str
    ) -> Sequence[Sequence[RunningReplica]]:
        """Rank replicas: those that have a model, then the others by the number of models that they have."""

        def key(replica: RunningReplica) -> int:
            models = replica.multiplexed_model_ids
            return -1 if multiplexed_model_id in models else len(models)

        return [list(rank) for _, rank in groupby(sorted(replicas, key=key), key=key)]
