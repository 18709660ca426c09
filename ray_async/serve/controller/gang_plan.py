"""Plans of gangs: which to start and stop. A pure function, on the one that decides for replicas.

A gang counts as one: the number that serve never falls by a part of one, and what is started or stopped is whole. One
that has lost a replica is stopped as a whole, unless its policy says that the lost one alone is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ray_async.serve.controller.reconcile import ReplicaState, ReplicaView, Wanted, reconcile
from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("GangPlan", "reconcile_gangs")


@dataclass(frozen=True)
class GangPlan:
    """What to do now.

    Args:
        start: How many gangs of the wanted version to start.
        stop: The ids of replicas to stop.
        fill: The gangs and ranks for which a single replica is to be started.
    """

    start: int
    stop: tuple[str, ...]
    fill: tuple[tuple[str, int], ...] = ()


def reconcile_gangs(wanted: Wanted, size: int, restarts_whole: bool, replicas: Sequence[ReplicaView]) -> GangPlan:
    """The next step from what there is to what is wanted.

    Args:
        wanted: What there shall be; the number is that of replicas, a multiple of the size.
        size: The replicas of a gang of the wanted version; 1 where that has none.
        restarts_whole: Whether a gang is stopped where one of its replicas is lost after it has run.
        replicas: What there is, of whatever version.
    """
    stop: list[str] = []
    fill: list[tuple[str, int]] = []
    units: dict[str, ReplicaView] = {}
    members: dict[str, tuple[str, ...]] = {}
    for gang in _gangs(replicas, size):
        first = gang[0]
        ids = tuple(one.id for one in gang)
        runs = any(one.state is ReplicaState.RUNNING for one in gang)
        is_whole = not first.gang or len(gang) == first.gang_size
        if not is_whole and (restarts_whole or not runs):
            stop += ids
            continue
        if not is_whole and first.version == wanted.version:
            ranks = {one.rank for one in gang}
            fill += [(first.gang, rank) for rank in range(first.gang_size) if rank not in ranks]
        state = ReplicaState.RUNNING if runs else ReplicaState.STARTING
        units[first.id] = replace(first, state=state, ongoing=sum(one.ongoing for one in gang))
        members[first.id] = ids
    plan = reconcile(replace(wanted, replicas=wanted.replicas // size), list(units.values()))
    stop += [replica for unit in plan.stop for replica in members[unit]]
    return GangPlan(plan.start, tuple(stop), tuple(one for one in fill if not _is_stopped(one[0], stop, replicas)))


def _gangs(replicas: Sequence[ReplicaView], size: int) -> list[list[ReplicaView]]:
    """The replicas that are not about to end, by gang; those of no gang are put together by the size."""
    gangs: dict[str, list[ReplicaView]] = {}
    single: dict[str, list[ReplicaView]] = {}
    for replica in replicas:
        if replica.state is not ReplicaState.STOPPING:
            group = gangs.setdefault(replica.gang, []) if replica.gang else single.setdefault(replica.version, [])
            group.append(replica)
    parts = [group[at : at + size] for group in single.values() for at in range(0, len(group), size)]
    return [*gangs.values(), *parts]


def _is_stopped(gang: str, stopped: Sequence[str], replicas: Sequence[ReplicaView]) -> bool:
    return any(one.gang == gang and one.id in stopped for one in replicas)
