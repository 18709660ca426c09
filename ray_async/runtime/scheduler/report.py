"""Report of the scheduler, for people: resources, nodes, placement groups, and why something waits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray_async.runtime.scheduler.demands import ActorRecord, ClassDemandState, Demand
from ray_async.runtime.scheduler.grants import Activity
from ray_async.runtime.scheduler.placement_groups import BundleGroup, GroupState
from ray_async.runtime.scheduler.policy.strategies import Unschedulable
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.resources import UNITS_PER_ONE, from_units
from ray_async.runtime.scheduler.specs import Requirements
from ray_async.runtime.scheduler.tables import ClusterState

__all__ = ("Report",)

_BUNDLE_MARK = 1000 * UNITS_PER_ONE
_BUNDLE_MARK_USE = UNITS_PER_ONE // 1000


def _as_floats(units: dict[str, int]) -> dict[str, float]:
    return {name: from_units(amount) for name, amount in units.items() if amount > 0}


class Report:
    """Read-only questions to a scheduler's state."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def cluster_resources(self) -> dict[str, float]:
        """Return the totals of all live nodes, with the resources that placement groups have made."""
        return _as_floats(self._sum(total=True, idle_is_free=False, node_id=None, guests=()))

    def available_resources(
        self, *, idle_is_free: bool = True, node_id: str | None = None, guests: Collection[int] = ()
    ) -> dict[str, float]:
        """Return what is free; a name of which nothing is free is left out.

        Args:
            idle_is_free: count leases that run nothing as free.
            node_id: of this node only.
            guests: classes whose leases count as free, too.
        """
        return _as_floats(self._sum(total=False, idle_is_free=idle_is_free, node_id=node_id, guests=guests))

    def nodes(self) -> list[dict[str, object]]:
        """Return a row for each node, past ones too: id, alive, labels, resources (total) and worker counts."""
        return [
            {
                "node_id": node.node_id,
                "alive": node.alive,
                "labels": dict(node.labels),
                "resources": _as_floats(node.pool.total) if node.alive else {},
                "task_workers": node.task_workers,
                "actor_workers": node.actor_workers,
                "idle_workers": len(node.idle_since),
            }
            for node in (*self._state.nodes, *self._state.nodes.gone.values())
        ]

    def placement_group_table(self) -> dict[str, dict[str, Any]]:
        """Return a row for each group by id; removed ones stay for a while."""
        groups = (*self._state.removed_groups, *self._state.groups.values())
        return {group.pg_id: self._group_row(group) for group in groups}

    @staticmethod
    def _group_row(group: BundleGroup) -> dict[str, Any]:
        return {
            "placement_group_id": group.pg_id,
            "name": group.name,
            "bundles": {index: bundle.to_dict() for index, bundle in enumerate(group.bundles)},
            "bundles_to_node_id": {} if group.state is GroupState.REMOVED else group.bundle_nodes(),
            "strategy": group.strategy.value,
            "state": group.state.value,
            "infeasible": group.warned,
        }

    def _sum(self, total: bool, idle_is_free: bool, node_id: str | None, guests: Collection[int]) -> dict[str, int]:
        sums: dict[str, int] = {}
        for node in self._state.nodes:
            if node_id in (None, node.node_id):
                self._add(sums, node.pool, total, idle_is_free, ("",), guests)
        for group in self._state.groups.values():
            for index, pool in group.pools.items():
                if node_id in (None, pool.node.node_id):
                    suffixes = (f"_group_{index}_{group.pg_id}", f"_group_{group.pg_id}")
                    self._add(sums, pool, total, idle_is_free, suffixes, guests)
        return sums

    @staticmethod
    def _add(
        sums: dict[str, int],
        pool: ResourcePool,
        total: bool,
        idle_is_free: bool,
        suffixes: tuple[str, ...],
        guests: Collection[int],
    ) -> None:
        units = dict(pool.total if total else pool.available)
        in_use = 0 if total else len(pool.grants)
        if idle_is_free and not total:
            for grant in pool.grants:
                owner = grant.owner
                is_guest = isinstance(owner, ClassDemandState) and owner.class_id in guests
                if is_guest or grant.activity is Activity.IDLE:
                    in_use -= 1
                    for name in grant.allocation.resources:
                        units[name] += grant.allocation.held(name)
        if pool.bundle is not None:
            units["bundle"] = _BUNDLE_MARK - in_use * _BUNDLE_MARK_USE
        for suffix in suffixes:
            for name, amount in units.items():
                sums[name + suffix] = sums.get(name + suffix, 0) + amount

    def without_room(self, class_id: int, queued: int) -> int:
        """How many of a class's queued tasks find no room: no worker will take them that is there, or may start.

        Args:
            class_id: the class.
            queued: how many there are; those of a class that was given up are not counted here any more.
        """
        demand = self._state.classes.get(class_id)
        if demand is None:
            return 0
        if isinstance(demand.tiers, Unschedulable):
            return queued
        served = len(demand.expected) + len(demand.pending) + self._room(demand, demand.spec)
        return max(0, queued - served * demand.spec.tasks_per_worker)

    def actor_has_room(self, actor_id: str) -> bool:
        """Whether an actor has a place, where its worker is or may start."""
        actor = self._state.actors.get(actor_id)
        if actor is None or actor.queue is None:
            return actor is not None and actor.grant is not None
        return list(actor.queue.actors).index(actor_id) < self._room(actor.queue, actor.spec)

    def _room(self, demand: Demand, spec: Requirements) -> int:
        """How often more a request fits now, though it may have to wait: workers start a few at a time."""
        if demand.tiers is None or isinstance(demand.tiers, Unschedulable):
            return 0
        limit = self._state.settings.max_task_workers
        places = 0
        for pool in (pool for tier in demand.tiers for pool in tier):
            node = pool.node
            left = limit - node.task_workers - max(node.starting_count, node.waiting_count)
            places += min(pool.times(spec.resources, demand), max(left, len(node.idle_since)))
        return places

    def explain(self, class_id: int) -> str:
        """Say in one line how the tasks of a class are served and, if they wait, what for."""
        demand = self._state.classes.get(class_id)
        if demand is None:
            return "the scheduler does not know tasks of its kind"
        served = f"of its kind: {demand.queued} queued, {len(demand.leases)} with a worker"
        if demand.pending:
            served += f", {len(demand.pending)} for which a worker starts"
        return f"{served}; {self._explain(demand, demand.spec)}"

    def explain_actor(self, actor_id: str) -> str:
        """Say in one line where an actor is or what it waits for."""
        actor = self._state.actors.get(actor_id)
        if actor is None:
            return f"actor {actor_id} is not known"
        if actor.queue is not None:
            return f"actor {actor_id}: {self._explain(actor.queue, actor.spec)}"
        if actor.grant is None:
            return f"actor {actor_id} has lost its worker"
        where = actor.grant.allocation.pool.node.node_id
        return f"actor {actor_id} is " + ("starting" if actor.grant.slot is None else "placed") + f" on node {where}"

    def _explain(self, demand: Demand, spec: Requirements) -> str:
        if demand not in self._state.waiting:
            return "it waits for nothing"
        if isinstance(demand.tiers, Unschedulable):
            return f"it cannot be scheduled: {demand.tiers.reason}"
        group = self._state.groups.get(spec.placement_group or "")
        if group is not None and group.wants_more:
            return f"it waits for placement group {group.pg_id}, which is {group.state.value}"
        pools = [pool for tier in demand.tiers or () for pool in tier]
        if not pools:
            labels = " with the labels it asks for" if spec.label_selector or spec.fallback else ""
            return f"no place has {spec.resources.to_dict()} in total{labels}"
        places = "; ".join(self._describe(pool, demand, spec) for pool in pools[:8])
        return f"it needs {spec.resources.to_dict()}; {places}"

    def _describe(self, pool: ResourcePool, demand: Demand, spec: Requirements) -> str:
        names = list(spec.resources) or ["CPU"]
        free = ", ".join(
            f"{name} {from_units(pool.available.get(name, 0)):g} of {from_units(pool.total.get(name, 0)):g} free"
            for name in names
        )
        holders: dict[str, int] = {}
        for grant in pool.grants:
            owner = grant.owner
            who = "actors" if isinstance(owner, ActorRecord) else "its kind" if owner is demand else "other tasks"
            holders[who] = holders.get(who, 0) + 1
        text = f"node {pool.node.node_id}: {free}"
        if holders:
            text += ", in use by " + ", ".join(f"{count} of {who}" for who, count in holders.items())
        if pool.holds:
            text += f", held back for {len(pool.holds)} others"
        limit = self._state.settings.max_task_workers
        return text + (f", at its limit of {limit} workers" if pool.node.task_workers >= limit else "")
