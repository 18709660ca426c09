"""Reconciling: which replicas to start and to stop, so that a deployment gets what was asked for. A pure function.

Replicas of another version are replaced a few at a time: new ones are started first, and old ones stopped only when
new ones run, so that the number of those that serve never falls. Where replicas hold resources of the node, there may
be no room for more, and old ones are stopped first, unless a surge above the target was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("Plan", "ReplicaState", "ReplicaView", "Wanted", "reconcile")


class ReplicaState(StrEnum):
    """What a replica is doing."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"


@dataclass(frozen=True)
class ReplicaView:
    """What matters of a replica here.

    Args:
        id: Its id.
        version: The version of its code.
        state: What it is doing.
        ongoing: How many requests it works on.
        gang: The id of its gang; empty where it is in none.
        rank: Its place there.
        gang_size: How many replicas that has.
    """

    id: str
    version: str
    state: ReplicaState
    ongoing: int = 0
    gang: str = ""
    rank: int = 0
    gang_size: int = 1


@dataclass(frozen=True)
class Wanted:
    """What there shall be.

    Args:
        version: The version of the code.
        replicas: How many.
        step: The share of them that is replaced at a time.
        stop_first: Whether old ones are stopped before new ones are started; not where there is a surge.
        surge: The share of them that there may be above their number, while they are replaced; 0: `step` of them, or
            with `stop_first` none.
    """

    version: str
    replicas: int
    step: float = 0.2
    stop_first: bool = False
    surge: float = 0


@dataclass(frozen=True)
class Plan:
    """What to do now.

    Args:
        start: How many replicas of the wanted version to start.
        stop: The ids of replicas to stop.
    """

    start: int
    stop: tuple[str, ...]


def reconcile(wanted: Wanted, replicas: Sequence[ReplicaView]) -> Plan:
    """The next step from what there is to what is wanted."""
    alive = [replica for replica in replicas if replica.state is not ReplicaState.STOPPING]
    new = [replica for replica in alive if replica.version == wanted.version]
    old = [replica for replica in alive if replica.version != wanted.version]
    # Starting ones go before running ones, and of these the idle ones first.
    new.sort(key=_dispensable)
    old.sort(key=_dispensable)
    surplus = len(new) - wanted.replicas
    if surplus > 0:
        return Plan(0, tuple(replica.id for replica in [*new[:surplus], *old]))
    if not old:
        return Plan(-surplus, ())
    step = max(1, math.ceil(wanted.replicas * wanted.step))
    running = sum(replica.state is ReplicaState.RUNNING for replica in new)
    old_running = [replica for replica in old if replica.state is ReplicaState.RUNNING]
    if wanted.stop_first and not wanted.surge:
        missing = wanted.replicas - running - len(old_running)
        starting = len(old) - len(old_running)  # they go first: nobody waits for what they may wait for
        stoppable = max(starting, step - max(0, missing)) if running < wanted.replicas else len(old)
        room = wanted.replicas - len(new) - len(old)
        return Plan(max(0, room), tuple(replica.id for replica in old[:stoppable]))
    above = max(1, math.ceil(wanted.replicas * wanted.surge)) if wanted.surge else step
    room = wanted.replicas + above - len(new) - len(old)
    stop = [replica for replica in old if replica.state is ReplicaState.STARTING]
    enough = running + len(old_running) - wanted.replicas
    stop += old_running[: max(0, enough)] if running < wanted.replicas else old_running
    return Plan(max(0, min(-surplus, room)), tuple(replica.id for replica in stop))


def _dispensable(replica: ReplicaView) -> tuple[bool, int]:
    return replica.state is ReplicaState.RUNNING, replica.ongoing
