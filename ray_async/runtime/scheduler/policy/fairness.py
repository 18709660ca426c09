"""Fairness between classes: the leases to ask back, so that a class that waits gets its share."""

from __future__ import annotations

from collections.abc import Callable

from ray_async.runtime.scheduler.demands import ClassDemandState, Demand
from ray_async.runtime.scheduler.grants import Activity, Grant, Revocation
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.resources import ResourceSet

__all__ = ("may_take_from", "missing_units", "pick_victims")


def missing_units(pool: ResourcePool, request: ResourceSet, demand: Demand) -> dict[str, int]:
    """Return what `request` lacks in `pool`, with leases that were already asked back counted as returned."""
    missing: dict[str, int] = {}
    for name, amount in request.units.items():
        coming = sum(
            grant.allocation.held(name)
            for grant in pool.grants
            if grant.revocation is not Revocation.NONE and not grant.blocked
        )
        lacking = amount - (pool.available.get(name, 0) + coming - pool.held_back(name, demand))
        if lacking > 0:
            missing[name] = lacking
    return missing


def may_take_from(victim_share: float, victim_cost: float, own_share: float, own_cost: float) -> bool:
    """Say whether one who waits may have a busy lease of another class.

    Who has nothing may always: classes then take turns. Otherwise only while the other one keeps at least as much.
    """
    return own_share == 0.0 or victim_share - victim_cost >= own_share + own_cost - 1e-9


def pick_victims(
    pool: ResourcePool, request: ResourceSet, demand: Demand, allowed: Callable[[Grant], bool]
) -> list[Grant] | None:
    """Return leases whose end lets `request` fit: idle ones first, then those held longest.

    Args:
        pool: where the request is to fit.
        request: what is wanted.
        demand: who wants it; its own leases are spared.
        allowed: asked for each busy lease.

    Returns:
        An empty list when what was asked back already is enough; None when even all allowed leases are not.
    """
    missing = missing_units(pool, request, demand)
    victims: list[Grant] = []
    if not missing:
        return victims
    leases = [
        grant
        for grant in pool.grants
        if isinstance(grant.owner, ClassDemandState)
        and grant.owner is not demand
        and grant.slot is not None
        and grant.revocation is Revocation.NONE
        and not grant.blocked
    ]
    leases.sort(key=lambda grant: (grant.activity is not Activity.IDLE, grant.granted_at))
    for grant in leases:
        useful = any(grant.allocation.held(name) for name in missing)
        if useful and (grant.activity is Activity.IDLE or allowed(grant)):
            victims.append(grant)
            for name in list(missing):
                missing[name] -= grant.allocation.held(name)
                if missing[name] <= 0:
                    del missing[name]
            if not missing:
                return victims
    return None
