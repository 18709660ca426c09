"""Bundles of a placement group: the node that each one goes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ray_async.frozen import Record
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.placement_groups import GroupStrategy
from ray_async.runtime.scheduler.resources import EMPTY, ResourceSet

__all__ = ("Bundle", "plan_bundles")

#: What is left on each node while a plan is made.
Room = dict[NodeRow, dict[str, int]]
Plan = dict[int, NodeRow]


class Bundle(Record):
    """A bundle that needs a node."""

    index: int
    resources: ResourceSet
    selector: LabelSelector

    def fits(self, node: NodeRow, room: Mapping[str, int]) -> bool:
        """Say whether it may and can go to `node`."""
        return self.selector.matches(node.labels) and self.resources.fits_in(room)


def _put(bundle: Bundle, node: NodeRow, room: Room, plan: Plan) -> None:
    plan[bundle.index] = node
    for name, amount in bundle.resources.units.items():
        room[node][name] -= amount


def _size(bundle: Bundle) -> int:
    return sum(bundle.resources.units.values())


def _on_one_node(bundles: Sequence[Bundle], room: Room) -> Plan | None:
    together = EMPTY
    for bundle in bundles:
        together = together + bundle.resources
    for node in room:
        if together.fits_in(room[node]) and all(bundle.selector.matches(node.labels) for bundle in bundles):
            return {bundle.index: node for bundle in bundles}
    return None


def _greedy(bundles: Sequence[Bundle], room: Room, order: Callable[[Plan], Sequence[NodeRow]]) -> Plan | None:
    plan: Plan = {}
    for bundle in sorted(bundles, key=_size, reverse=True):
        node = next((node for node in order(plan) if bundle.fits(node, room[node])), None)
        if node is None:
            return None
        _put(bundle, node, room, plan)
    return plan


def _pack(bundles: Sequence[Bundle], room: Room) -> Plan | None:
    def used_first(plan: Plan) -> Sequence[NodeRow]:
        used = set(plan.values())
        return sorted(room, key=lambda node: node not in used)

    return _on_one_node(bundles, room) or _greedy(bundles, room, used_first)


def _spread(bundles: Sequence[Bundle], room: Room, occupied: Sequence[NodeRow]) -> Plan | None:
    def least_first(plan: Plan) -> Sequence[NodeRow]:
        load = [*occupied, *plan.values()]
        return sorted(room, key=load.count)

    return _greedy(bundles, room, least_first)


def _on_distinct_nodes(bundles: Sequence[Bundle], room: Room, occupied: Sequence[NodeRow]) -> Plan | None:
    """Match bundles to nodes by augmenting paths (Kuhn's algorithm), so that a plan is found if there is one."""
    owner: dict[NodeRow, Bundle] = {}

    def settle(bundle: Bundle, tried: set[NodeRow]) -> bool:
        for node in room:
            if node not in tried and node not in occupied and bundle.fits(node, room[node]):
                tried.add(node)
                if node not in owner or settle(owner[node], tried):
                    owner[node] = bundle
                    return True
        return False

    if len(bundles) > len(room) or not all(settle(bundle, set()) for bundle in bundles):
        return None
    return {bundle.index: node for node, bundle in owner.items()}


def plan_bundles(
    strategy: GroupStrategy, bundles: Sequence[Bundle], room: Room, occupied: Sequence[NodeRow], target: NodeRow | None
) -> Plan | None:
    """Return a node for every bundle, or None when they cannot all be had.

    Args:
        strategy: PACK and SPREAD do what they can, the STRICT ones hold for certain.
        bundles: those that need a node.
        room: units available by node, in order of preference; used up by the call.
        occupied: nodes of the group's other bundles, once for each.
        target: for STRICT_PACK, the node to prefer.
    """
    first = [node for node in (target, *occupied) if node in room]
    room = {node: room[node] for node in dict.fromkeys([*first, *room])}
    if strategy is GroupStrategy.STRICT_PACK:
        return _on_one_node(bundles, room)
    if strategy is GroupStrategy.PACK:
        return _pack(bundles, room)
    if strategy is GroupStrategy.SPREAD:
        return _spread(bundles, room, occupied)
    return _on_distinct_nodes(bundles, room, occupied)
