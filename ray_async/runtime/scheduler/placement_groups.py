"""Placement groups: bundles of resources that are reserved together."""

from __future__ import annotations

from enum import Enum

from ray_async.runtime.scheduler.demands import Demand
from ray_async.runtime.scheduler.labels import ANY_NODE, LabelSelector
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.resources import EMPTY, ResourceSet

__all__ = ("BundleGroup", "GroupState", "GroupStrategy")


class GroupStrategy(Enum):
    """How the bundles of a group relate to nodes."""

    PACK = "PACK"
    SPREAD = "SPREAD"
    STRICT_PACK = "STRICT_PACK"
    STRICT_SPREAD = "STRICT_SPREAD"


class GroupState(Enum):
    """Life of a group."""

    PENDING = "PENDING"
    CREATED = "CREATED"
    RESCHEDULING = "RESCHEDULING"
    REMOVED = "REMOVED"


class BundleGroup(Demand):
    """A group, and a demand while any bundle has no reservation. All missing bundles are reserved at once."""

    __slots__ = (
        "bundles",
        "elsewhere",
        "missing_resources",
        "name",
        "pg_id",
        "pools",
        "selectors",
        "soft_target",
        "state",
        "strategy",
        "waits",
    )

    def __init__(
        self,
        pg_id: str,
        bundles: tuple[ResourceSet, ...],
        strategy: GroupStrategy,
        selectors: tuple[LabelSelector, ...],
        soft_target: str | None,
        name: str,
    ) -> None:
        super().__init__()
        self.pg_id = pg_id
        self.bundles = bundles
        self.strategy = strategy
        self.selectors = selectors or (ANY_NODE,) * len(bundles)
        self.soft_target = soft_target
        self.name = name
        self.state = GroupState.PENDING
        self.pools: dict[int, ResourcePool] = {}
        self.elsewhere: dict[int, str] = {}  # nodes of other machines, by bundle
        self.waits = False  # nothing is reserved before it is known what lies there
        self.missing_resources = EMPTY
        self.count_missing()

    @property
    def wants_more(self) -> bool:
        """Whether bundles wait for a reservation."""
        return self.state in (GroupState.PENDING, GroupState.RESCHEDULING) and not self.waits

    @property
    def missing(self) -> tuple[int, ...]:
        """Bundles without a reservation."""
        return tuple(i for i in range(len(self.bundles)) if i not in self.pools and i not in self.elsewhere)

    def count_missing(self) -> None:
        """Sum up what the missing bundles need, after a change of `pools`."""
        self.missing_resources = EMPTY
        for index in self.missing:
            self.missing_resources = self.missing_resources + self.bundles[index]

    def pools_for(self, bundle_index: int) -> tuple[ResourcePool, ...]:
        """The reserved bundles that a request for `bundle_index` (-1: any) may use."""
        if bundle_index >= 0:
            pool = self.pools.get(bundle_index)
            return () if pool is None else (pool,)
        return tuple(self.pools[index] for index in sorted(self.pools))

    def bundle_nodes(self) -> dict[int, str]:
        """Node id by bundle index, for the reserved bundles."""
        nodes = {**self.elsewhere, **{index: pool.node.node_id for index, pool in self.pools.items()}}
        return {index: nodes[index] for index in sorted(nodes)}
