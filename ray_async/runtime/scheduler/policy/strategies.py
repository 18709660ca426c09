"""Scheduling strategies: which nodes a request may use, in which order of preference, and which one it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ray_async.frozen import Record
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.resources import ResourceSet

__all__ = (
    "DEFAULT",
    "SPREAD",
    "DefaultStrategy",
    "NodeAffinity",
    "NodeLabel",
    "SpreadStrategy",
    "Strategy",
    "Tiers",
    "Unschedulable",
    "bundle_tiers",
    "node_tiers",
    "pick_hybrid",
    "pick_spread",
)

#: Groups of places; a later group is used only when no place of an earlier one has room.
Tiers = tuple[tuple[ResourcePool, ...], ...]


class DefaultStrategy(Record):
    """Pack onto the first nodes until they are half used, then spread to the least used."""


class SpreadStrategy(Record):
    """Put each next one on the node with the fewest of its kind."""


class NodeAffinity(Record):
    """Run on one node.

    Args:
        node_id: the node.
        soft: when the node is gone or could never fit the request, use any other node.
        spill_on_unavailable: (soft only) use another node also when this one has no room right now.
        fail_on_unavailable: (hard only) fail instead of waiting when the node has no room right now.
    """

    node_id: str
    soft: bool = False
    spill_on_unavailable: bool = False
    fail_on_unavailable: bool = False


class NodeLabel(Record):
    """Run on a node that meets `hard`; among those, prefer the ones that meet `soft`."""

    hard: LabelSelector
    soft: LabelSelector


Strategy = DefaultStrategy | SpreadStrategy | NodeAffinity | NodeLabel

DEFAULT = DefaultStrategy()
SPREAD = SpreadStrategy()


class Unschedulable(Record):
    """A request that can never run as asked, whatever nodes may come; `reason` is for the user."""

    reason: str


def _avoiding_gpus(nodes: Iterable[NodeRow], request: ResourceSet) -> list[list[NodeRow]]:
    """Keep nodes with GPUs free for those who need them, when there are others."""
    nodes = list(nodes)
    if request["GPU"]:
        return [nodes]
    return [[n for n in nodes if not n.pool.total.get("GPU")], [n for n in nodes if n.pool.total.get("GPU")]]


def _affinity(
    strategy: NodeAffinity, feasible: Sequence[NodeRow], alive: Iterable[str]
) -> list[list[NodeRow]] | Unschedulable:
    target = [node for node in feasible if node.node_id == strategy.node_id]
    others = [node for node in feasible if node.node_id != strategy.node_id]
    if strategy.soft:
        return [target, others] if strategy.spill_on_unavailable or not target else [target]
    if strategy.node_id not in alive:
        return Unschedulable(f"its hard node affinity names node {strategy.node_id}, which is not alive")
    return [target]


def node_tiers(
    strategy: Strategy, selectors: Sequence[LabelSelector], needed: ResourceSet, nodes: Sequence[NodeRow]
) -> Tiers | Unschedulable:
    """Return the nodes that could ever run the request, best group first.

    Args:
        strategy: how to choose.
        selectors: the label selector and its fallbacks, in order of preference.
        needed: what a node must have in total.
        nodes: all live nodes, the head first.
    """
    tiers: list[list[NodeRow]] = []
    for selector in selectors:
        feasible = [n for n in nodes if selector.matches(n.labels) and n.pool.could_ever_fit(needed)]
        if isinstance(strategy, NodeAffinity):
            found = _affinity(strategy, feasible, {node.node_id for node in nodes})
            if isinstance(found, Unschedulable):
                return found
            tiers += found
        elif isinstance(strategy, NodeLabel):
            hard = [node for node in feasible if strategy.hard.matches(node.labels)]
            preferred = [node for node in hard if strategy.soft.matches(node.labels)]
            tiers += _avoiding_gpus(preferred, needed)
            tiers += _avoiding_gpus((node for node in hard if node not in preferred), needed)
        else:
            tiers += _avoiding_gpus(feasible, needed)
    return tuple(tuple(node.pool for node in tier) for tier in tiers if tier)


def bundle_tiers(pools: Iterable[ResourcePool], needed: ResourceSet) -> Tiers:
    """Return the bundles that could ever hold the request; first those with fewest resources that it has no use for.

    So a bundle with a GPU is left to who needs one for as long as there are others.
    """
    tiers: dict[int, list[ResourcePool]] = {}
    for pool in pools:
        if pool.could_ever_fit(needed):
            tiers.setdefault(sum(1 for name in pool.total if not needed[name]), []).append(pool)
    return tuple(tuple(tiers[unused]) for unused in sorted(tiers))


def pick_hybrid(
    tier: Sequence[ResourcePool], request: ResourceSet, has_room: Callable[[ResourcePool], bool], threshold: float
) -> ResourcePool | None:
    """Pick the first place used below `threshold` (0 to 1), else the least used; None when none has room."""
    best: ResourcePool | None = None
    best_score = 0.0
    for pool in tier:
        if not has_room(pool):
            continue
        score = pool.utilization(request) if len(tier) > 1 else 0.0
        if score < threshold:
            return pool
        if best is None or score < best_score:
            best, best_score = pool, score
    return best


def pick_spread(
    tier: Sequence[ResourcePool], load: Callable[[ResourcePool], int], has_room: Callable[[ResourcePool], bool]
) -> ResourcePool | None:
    """Pick the place with the smallest `load` that has room; ties go to the less used, then to the first."""
    roomy = [pool for pool in tier if has_room(pool)]
    return min(roomy, key=lambda pool: (load(pool), len(pool.grants)), default=None)
