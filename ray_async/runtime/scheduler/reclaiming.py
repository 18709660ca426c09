"""Asking leases back: for those who wait, after overcommitment, and when nobody uses them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ray_async.runtime.scheduler.demands import ActorQueue, ClassDemandState, Demand
from ray_async.runtime.scheduler.dispatching import Dispatcher
from ray_async.runtime.scheduler.grants import Activity, Grant, Revocation
from ray_async.runtime.scheduler.instructions import Revoke
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.placement_groups import BundleGroup
from ray_async.runtime.scheduler.policy.fairness import may_take_from, pick_victims
from ray_async.runtime.scheduler.policy.strategies import Unschedulable
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.resources import EMPTY, ResourceSet
from ray_async.runtime.scheduler.tables import ClusterState

__all__ = ("Reclaimer",)

_EXAMINED_AT_ONCE = 16
_SLOWEST_CHECK_S = 0.5


class Reclaimer:
    """Revokes leases and holds what they free back for the one it is meant for, for a limited time.

    Without holding back, a large request would never see enough free at once beside many small ones. The time is
    limited, and followed by a pause as long, because those small ones may be what must run first.
    """

    def __init__(self, state: ClusterState, dispatcher: Dispatcher) -> None:
        self._state = state
        self._dispatcher = dispatcher
        self._busy_check_at = 0.0
        self._interval = state.settings.quantum_s
        self._turn = 0
        self._youngest_seen: Demand | None = None

    def run(self) -> None:
        """Ask leases back for the oldest of those who wait."""
        state = self._state
        if not state.waiting:
            return
        busy_too = state.now >= self._busy_check_at
        if not busy_too and not state.idle_leases:
            return
        found = False
        for demand in self._some_who_wait(busy_too):
            waited = state.now - (demand.waiting_since or 0.0)
            busy = busy_too and waited >= state.settings.quantum_s and state.now >= demand.hold_not_before
            found = self._reclaim_for(demand, busy) or found
        if busy_too:
            self._pace(found)

    def _some_who_wait(self, all_in_turn: bool) -> list[Demand]:
        """Return the oldest demands without a hold and, in busy rounds, some of the others, in turn."""
        without = (demand for demand in self._state.waiting if demand not in self._state.holders)
        oldest = list(islice(without, _EXAMINED_AT_ONCE))
        others = list(without) if all_in_turn else []
        if not others:
            return oldest
        self._turn = (self._turn + _EXAMINED_AT_ONCE) % len(others)
        return oldest + others[self._turn : self._turn + _EXAMINED_AT_ONCE]

    def _pace(self, found: bool) -> None:
        """Look at busy leases each quantum, less and less often while it is in vain and nobody new waits."""
        state = self._state
        youngest = next(reversed(state.waiting), None)
        if found or youngest is not self._youngest_seen:
            self._interval = state.settings.quantum_s
        else:
            self._interval = min(self._interval * 2, _SLOWEST_CHECK_S)
        self._youngest_seen = youngest
        self._busy_check_at = state.now + self._interval

    def _reclaim_for(self, demand: Demand, busy: bool) -> bool:
        for pool, request in self._targets(demand):
            taken: dict[ClassDemandState, int] = {}

            def allowed(grant: Grant, taken: dict[ClassDemandState, int] = taken) -> bool:
                return busy and self._may_take(demand, grant, taken)

            victims = pick_victims(pool, request, demand, allowed)
            if victims is None or (not victims and not busy):
                continue
            for grant in victims:
                self.revoke(grant, urgent=True)
            self._hold(demand, pool, request)
            if not isinstance(demand, BundleGroup):
                break
        return demand in self._state.holders

    def _may_take(self, demand: Demand, grant: Grant, taken: dict[ClassDemandState, int]) -> bool:
        victim = grant.owner
        assert isinstance(victim, ClassDemandState)
        if self._state.now - grant.granted_at < self._state.settings.quantum_s:
            return False
        victim_cost, own_cost = self._cost(victim), self._cost(demand)
        victim_share = (self._active(victim) - taken.get(victim, 0)) * victim_cost
        own_share = self._active(demand) * own_cost
        if not may_take_from(victim_share, victim_cost, own_share, own_cost):
            return False
        taken[victim] = taken.get(victim, 0) + 1
        return True

    @staticmethod
    def _active(demand: Demand) -> int:
        """Leases that a class keeps; actors and groups count as having nothing."""
        if not isinstance(demand, ClassDemandState):
            return 0
        kept = sum(1 for grant in demand.leases.values() if grant.revocation is Revocation.NONE)
        return kept + len(demand.pending)

    def _cost(self, demand: Demand) -> float:
        """Largest share of the cluster, 0 to 1, that one lease of the demand takes of any resource."""
        if isinstance(demand, BundleGroup):
            return 0.0
        assert isinstance(demand, ActorQueue | ClassDemandState)
        shares = [0.0]
        for name, amount in demand.spec.resources.units.items():
            total = sum(node.pool.total.get(name, 0) for node in self._state.nodes)
            shares.append(amount / total if total else 0.0)
        return max(shares)

    def _targets(self, demand: Demand) -> Iterator[tuple[ResourcePool, ResourceSet]]:
        """Yield the places where `demand` could be met, with what it needs there."""
        if isinstance(demand, BundleGroup):
            plan = self._dispatcher.plan(demand, {node: self._revocable(node) for node in self._state.nodes})
            needs: dict[NodeRow, ResourceSet] = {}
            for index, node in (plan or {}).items():
                needs[node] = needs.get(node, EMPTY) + demand.bundles[index]
            yield from ((node.pool, need) for node, need in needs.items())
            return
        assert isinstance(demand, ActorQueue | ClassDemandState)
        tiers = self._dispatcher.candidates(demand, demand.spec)
        if not isinstance(tiers, Unschedulable):
            for tier in tiers:
                yield from ((pool, demand.spec.resources) for pool in tier)

    def _revocable(self, node: NodeRow) -> dict[str, int]:
        """Units that the node would have if all its leases had returned."""
        room = dict(node.pool.available)
        for grant in node.pool.grants:
            if isinstance(grant.owner, ClassDemandState) and not grant.blocked:
                for name in grant.allocation.resources:
                    room[name] += grant.allocation.held(name)
        return room

    def _hold(self, demand: Demand, pool: ResourcePool, request: ResourceSet) -> None:
        settings = self._state.settings
        if demand not in self._state.holders:
            demand.hold_length = min(settings.hold_limit_s, demand.hold_length * 2 or settings.hold_s)
            demand.hold_until = self._state.now + demand.hold_length
            self._state.holders[demand] = None
        pool.holds[demand] = request
        demand.held_pools.append(pool)

    def end_holds(self) -> None:
        """End holds whose time is over; their owners pause for as long before the next."""
        for demand in [d for d in self._state.holders if d.hold_until <= self._state.now]:
            self._state.release_hold(demand)
            demand.hold_not_before = self._state.now + demand.hold_length

    def revoke(self, grant: Grant, urgent: bool) -> None:
        """Ask one lease back, unless that was done already."""
        wanted = Revocation.AFTER_TASK if urgent else Revocation.IF_IDLE
        if grant.slot is None or grant.revocation in (wanted, Revocation.AFTER_TASK):
            return
        grant.revocation = wanted
        self._state.emit(Revoke(grant.slot, urgent))
        if isinstance(grant.owner, ClassDemandState):
            grant.owner.note(grant)
            self._state.review(grant.owner)

    def write_off(self, grant: Grant) -> None:
        """Expect nothing more of a lease whose worker is being killed."""
        grant.revocation = Revocation.AFTER_TASK
        self._state.idle_leases.pop(grant, None)
        if isinstance(grant.owner, ClassDemandState):
            grant.owner.note(grant)
            self._state.review(grant.owner)

    def relieve(self, pool: ResourcePool, spare: Grant) -> None:
        """Ask leases back until the CPU of `pool` is no longer overcommitted; idle ones first, `spare` not."""
        over = -pool.available.get("CPU", 0)
        leases = [
            grant
            for grant in pool.grants
            if isinstance(grant.owner, ClassDemandState) and grant.slot is not None and grant.allocation.held("CPU")
        ]
        over -= sum(g.allocation.held("CPU") for g in leases if g.revocation is Revocation.AFTER_TASK)
        free = [g for g in leases if g.revocation is not Revocation.AFTER_TASK and g is not spare and not g.blocked]
        free.sort(key=lambda grant: (grant.activity is not Activity.IDLE, -grant.granted_at))
        for grant in free:
            if over <= 0:
                return
            over -= grant.allocation.held("CPU")
            self.revoke(grant, urgent=True)

    def return_unused(self) -> None:
        """Ask leases back that have been idle for too long."""
        state = self._state
        for grant, since in list(state.idle_leases.items()):
            if since + state.settings.lease_idle_s > state.now:
                return
            self.revoke(grant, urgent=False)
            del state.idle_leases[grant]

    def next_time(self) -> float | None:
        """When `run`, `end_holds` or `return_unused` may next have something to do."""
        state = self._state
        times = [demand.hold_until for demand in state.holders]
        if state.idle_leases:
            times.append(next(iter(state.idle_leases.values())) + state.settings.lease_idle_s)
        if state.lease_count and len(state.waiting) > len(state.holders):
            times.append(max(self._busy_check_at, state.now + state.settings.quantum_s / 2))
        return min(times, default=None)
