"""Dispatching of free resources: to the oldest demand first, one at a time, until no demand that waits can be met."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ray_async.runtime.scheduler.ceiling import FreeCeiling
from ray_async.runtime.scheduler.demands import ActorQueue, ClassDemandState, Demand
from ray_async.runtime.scheduler.granting import Granting
from ray_async.runtime.scheduler.instructions import (
    ActorUnschedulable,
    ClassUnschedulable,
    PlacementGroupReady,
    WarnInfeasible,
)
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.placement_groups import BundleGroup, GroupState
from ray_async.runtime.scheduler.policy.bundles import Bundle, plan_bundles
from ray_async.runtime.scheduler.policy.strategies import (
    NodeAffinity,
    SpreadStrategy,
    Tiers,
    Unschedulable,
    bundle_tiers,
    node_tiers,
    pick_hybrid,
    pick_spread,
)
from ray_async.runtime.scheduler.pool import Allocation, ResourcePool
from ray_async.runtime.scheduler.resources import ResourceSet
from ray_async.runtime.scheduler.specs import ActorSpec, Requirements
from ray_async.runtime.scheduler.tables import ClusterState
from ray_async.runtime.scheduler.worker_limit import report_limit

__all__ = ("Dispatcher",)

#: Up to so many demands, trying each is cheaper than a look at all nodes.
_FEW_DEMANDS = 4


class Dispatcher:
    """Matches waiting demands with free resources."""

    def __init__(self, state: ClusterState, granting: Granting) -> None:
        self._state = state
        self._granting = granting

    def run(self) -> None:
        """Serve those who wait, in order of age; each goes to the end of the line with what more it wants."""
        state = self._state
        while state.freed or state.changed:
            todo = deque(state.waiting) if state.freed else self._changed_by_age()
            state.freed = False
            state.changed.clear()
            ceiling = FreeCeiling(state.nodes) if len(todo) > _FEW_DEMANDS else None
            while todo:
                demand = todo.popleft()
                if ceiling is not None and self._hopeless(demand, ceiling):
                    continue
                if demand in state.waiting and self._serve(demand):
                    state.served(demand)
                    if demand in state.waiting:
                        todo.append(demand)

    def _hopeless(self, demand: Demand, ceiling: FreeCeiling) -> bool:
        """Whether a demand that has been looked at since the topology changed cannot be served for sure."""
        if demand.tiers_version != self._state.topology:
            return False
        if isinstance(demand, BundleGroup):
            return ceiling.excludes_together(demand.missing_resources)
        assert isinstance(demand, ActorQueue | ClassDemandState)
        spec, tiers = demand.spec, demand.tiers
        if spec.placement_group is not None or isinstance(tiers, Unschedulable) or not tiers:
            return False
        impatient = isinstance(spec.strategy, NodeAffinity) and spec.strategy.fail_on_unavailable
        return not impatient and ceiling.excludes(spec.resources)

    def _changed_by_age(self) -> deque[Demand]:
        waiting = [demand for demand in self._state.changed if demand in self._state.waiting]
        return deque(sorted(waiting, key=lambda demand: demand.waiting_since or 0.0))

    def _serve(self, demand: Demand) -> bool:
        if isinstance(demand, BundleGroup):
            return self._reserve(demand)
        if isinstance(demand, ClassDemandState):
            pool = self._choose(demand, demand.spec)
            return pool is not None and self._granting.open(demand, pool) is not None
        assert isinstance(demand, ActorQueue)
        pool = self._choose(demand, demand.spec)
        if pool is None:
            return False
        actor = demand.first
        if self._granting.open(actor, pool) is None:
            return False
        del demand.actors[actor.actor_id]
        actor.queue = None
        if not demand.actors:
            self._state.actor_queues.pop(demand.spec, None)
        return True

    def candidates(self, demand: Demand, spec: Requirements) -> Tiers | Unschedulable:
        """Return the places that could ever serve `demand`; cached until nodes or groups change."""
        version = self._state.version_for(spec)
        if demand.tiers is None or demand.tiers_version != version:
            demand.tiers = self._find_candidates(spec)
            demand.tiers_version = version
            demand.warned = demand.warned and not isinstance(demand.tiers, Unschedulable) and not demand.tiers
        return demand.tiers

    def _find_candidates(self, spec: Requirements) -> Tiers | Unschedulable:
        needed = spec.resources
        if isinstance(spec, ActorSpec):
            needed = needed.at_least(spec.placement_resources)
        if spec.placement_group is None:
            return node_tiers(spec.strategy, (spec.label_selector, *spec.fallback), needed, list(self._state.nodes))
        group = self._state.groups.get(spec.placement_group)
        if group is None:
            return Unschedulable(f"its placement group {spec.placement_group} was removed")
        if spec.bundle_index >= len(group.bundles):
            return Unschedulable(f"its placement group has no bundle {spec.bundle_index}")
        usable = group.bundles if spec.bundle_index < 0 else group.bundles[spec.bundle_index :][:1]
        # Nodes may come, but a group's bundles stay as they are.
        if not any(needed.fits_in(bundle.units) for bundle in usable):
            held = [bundle.to_dict() for bundle in usable]
            return Unschedulable(f"no bundle of its placement group can hold {needed.to_dict()}: there are {held}")
        return bundle_tiers(group.pools_for(spec.bundle_index), needed)

    def _choose(self, demand: ActorQueue | ClassDemandState, spec: Requirements) -> ResourcePool | None:
        tiers = self.candidates(demand, spec)
        if isinstance(tiers, Unschedulable):
            self.give_up(demand, tiers.reason)
            return None
        if not tiers:
            self._warn(demand, spec)
            return None
        if isinstance(spec, ActorSpec) and spec.placement_resources:
            roomy = self._pick(demand, spec, tiers, spec.resources.at_least(spec.placement_resources))
            if roomy is not None:
                return roomy
        pool = self._pick(demand, spec, tiers, spec.resources)
        if pool is None and isinstance(spec.strategy, NodeAffinity) and spec.strategy.fail_on_unavailable:
            self.give_up(demand, f"node {spec.strategy.node_id} of its node affinity has no room now")
        return pool

    def _pick(self, demand: Demand, spec: Requirements, tiers: Tiers, request: ResourceSet) -> ResourcePool | None:
        has_room: Callable[[ResourcePool], bool] = lambda pool: (  # noqa: E731
            pool.fits(request, demand) and self._has_worker(pool, spec)
        )
        for tier in tiers:
            if isinstance(spec.strategy, SpreadStrategy):
                pool = pick_spread(tier, lambda pool: self._load(demand, pool), has_room)
            else:
                pool = pick_hybrid(tier, request, has_room, self._state.settings.spread_threshold)
            if pool is not None:
                return pool
        return None

    @staticmethod
    def _load(demand: Demand, pool: ResourcePool) -> int:
        spec = demand.spec if isinstance(demand, ActorQueue | ClassDemandState) else None
        return sum(1 for grant in pool.grants if grant.owner.spec == spec)

    def _has_worker(self, pool: ResourcePool, spec: Requirements) -> bool:
        """Whether the node has an idle worker for the request or may start one."""
        node = pool.node
        devices = pool.accelerators_for(spec.resources)
        if devices is not None and node.find_idle(spec.env_key, devices) is not None:
            return True
        if node.waiting_count >= node.max_starting:
            return False
        coming = max(node.starting_count, node.waiting_count)
        if node.task_workers + coming < self._state.settings.max_task_workers or node.idle_since:
            return True
        report_limit(self._state, node)
        return False

    def give_up(self, demand: ActorQueue | ClassDemandState, reason: str) -> None:
        """Report that a demand can never be met, and forget it."""
        state = self._state
        if isinstance(demand, ClassDemandState):
            demand.queued = 0
            self._granting.trim(demand)
            state.emit(ClassUnschedulable(demand.class_id, reason))
        else:
            for actor_id in demand.actors:
                del state.actors[actor_id]
                state.emit(ActorUnschedulable(actor_id, reason))
            demand.actors.clear()
            state.actor_queues.pop(demand.spec, None)
        state.review(demand)

    def _warn(self, demand: ActorQueue | ClassDemandState, spec: Requirements) -> None:
        group = self._state.groups.get(spec.placement_group or "")
        if demand.warned or (group is not None and group.wants_more) or not len(self._state.nodes):
            return
        demand.warned = True
        needs = spec.resources
        if isinstance(spec, ActorSpec):
            needs = needs.at_least(spec.placement_resources)
        where = "no bundle of its placement group has" if group is not None else "no node has"
        labels = " with the labels it asks for" if spec.label_selector or spec.fallback else ""
        reason = f"{where} {needs.to_dict()} in total{labels}"
        if self._state.settings.fail_infeasible:
            demand.warned = False
            self.give_up(demand, reason)
            return
        if isinstance(demand, ClassDemandState):
            message = f"A task cannot start: {reason}. It waits for one that has."
            self._state.emit(WarnInfeasible("class", demand.class_id, message))
        else:
            message = f"An actor cannot start: {reason}. It waits for one that has."
            self._state.emit(WarnInfeasible("actor", demand.first.actor_id, message))

    def _reserve(self, group: BundleGroup) -> bool:
        """Reserve all missing bundles of a group, or none."""
        room = {
            node: {name: amount - node.pool.held_back(name, group) for name, amount in node.pool.available.items()}
            for node in self._state.nodes
        }
        plan = self.plan(group, room)
        if plan is None:
            self._warn_group(group)
            return False
        taken: dict[int, Allocation] = {}
        for index, node in plan.items():
            allocation = node.pool.take(group.bundles[index])
            if allocation is None:
                for earlier in taken.values():
                    earlier.pool.release(earlier)
                return False
            taken[index] = allocation
        for index, allocation in taken.items():
            group.pools[index] = ResourcePool.for_bundle(allocation, index)
        group.state = GroupState.CREATED
        group.count_missing()
        self._state.group_changes += 1
        self._state.freed = True
        self._state.emit(PlacementGroupReady(group.pg_id, group.bundle_nodes()))
        return True

    def plan(self, group: BundleGroup, room: dict[NodeRow, dict[str, int]]) -> dict[int, NodeRow] | None:
        """Return a node for each missing bundle of `group`, given the units in `room` of each node."""
        bundles = [Bundle(index, group.bundles[index], group.selectors[index]) for index in group.missing]
        occupied = [pool.node for pool in group.pools.values()]
        target = self._state.nodes.get(group.soft_target) if group.soft_target else None
        return plan_bundles(group.strategy, bundles, room, occupied, target)

    def _warn_group(self, group: BundleGroup) -> None:
        if group.tiers_version == self._state.topology:
            return
        group.tiers_version = self._state.topology
        if self.plan(group, {node: dict(node.pool.total) for node in self._state.nodes}) is not None:
            group.warned = False
        elif not group.warned and len(self._state.nodes):
            group.warned = True
            bundles = [bundle.to_dict() for bundle in group.bundles]
            message = (
                f"A placement group cannot be made: the nodes cannot hold the bundles {bundles} "
                f"({group.strategy.value}). It waits until they can."
            )
            self._state.emit(WarnInfeasible("placement group", group.pg_id, message))
