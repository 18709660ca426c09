"""Plans of rooms: what is reserved for a replica, or for a gang of replicas. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.gang import GANG_PREFIX, GangContext, GangSchedulingConfig
from ray_async.serve.options import DeploymentOptions
from ray_async.serve.placement import asked_resources

__all__ = ("RoomPlan", "full_nodes", "gang_room_name", "room_plan", "without_nodes")

NODE_ID = "ray.io/node-id"  # the label that every node has
_LEAST = {"object_store_memory": 1.0}  # a byte, of what each node has: for a replica that asks for nothing


@dataclass(frozen=True)
class RoomPlan:
    """A room.

    Args:
        name: The name of its placement group.
        bundles: What is reserved; those of a replica come one after the other.
        strategy: On which nodes.
        selectors: Conditions on the labels of each bundle's node; none where there are none.
        what: What asks, and what for: the first words of a message where that is lacking.
        index: The bundle in which the replica itself runs.
        captures: Whether tasks and actors that the replica starts run in the room too.
        siblings: What the names of the deployment's other rooms begin with, where their number on a node is limited.
        limit: That number; None where there is no limit.
    """

    name: str
    bundles: tuple[Mapping[str, float], ...]
    strategy: str
    selectors: tuple[Mapping[str, str], ...]
    what: str
    index: int = 0
    captures: bool = True
    siblings: str = ""
    limit: int | None = None


def room_plan(spec: DeploymentSpec, replica: str, gang: GangContext | None) -> RoomPlan | None:
    """The room that a replica needs; None where it just asks for resources, or for none.

    Args:
        spec: The deployment.
        replica: The name of the replica's actor.
        gang: What the replica knows of its gang; None where it is in none.
    """
    options = spec.options
    own, selectors = _bundles(options), options.bundle_selectors
    if gang is not None:
        if not gang.pg_name:
            return None
        size, config = gang.world_size, options.gang_scheduling_config or GangSchedulingConfig(gang.world_size)
        each = own[0] if len(own) == 1 else [dict(bundle) for bundle in own]
        what = f"A gang of {size} replicas of deployment {spec.name!r} cannot start: each asks for {each}"
        strategy, index = str(config.gang_placement_strategy), gang.rank * len(own)
        return RoomPlan(gang.pg_name, own * size, strategy, selectors * size, what, index)
    what = f"A replica of deployment {spec.name!r} cannot start: it asks for"
    if options.placement_group_bundles is not None:
        strategy = options.placement_group_strategy or "PACK"
        what = f"{what} the bundles {[dict(bundle) for bundle in own]} of a placement group ({strategy})"
        if selectors:
            what = f"{what} on nodes with the labels {[dict(selector) for selector in selectors]}"
        return RoomPlan(replica, own, strategy, selectors, what)
    if options.max_replicas_per_node is None:
        return None
    limit, labels = options.max_replicas_per_node, options.ray_actor_options.get("label_selector")
    what = f"{what} {asked_resources(options.ray_actor_options)} on a node with less than {limit} of them"
    siblings = replica.rpartition("#")[0] + "#"
    return RoomPlan(replica, own or (_LEAST,), "PACK", (labels,) if labels else (), what, 0, False, siblings, limit)


def gang_room_name(app: str, spec: DeploymentSpec, gang_id: str) -> str:
    """The name of a gang's placement group; empty where its replicas ask for no resources."""
    return f"{GANG_PREFIX}{app}_{spec.name}_{gang_id}" if _bundles(spec.options) else ""


def _bundles(options: DeploymentOptions) -> tuple[Mapping[str, float], ...]:
    if options.placement_group_bundles is not None:
        return tuple(options.placement_group_bundles)
    asked = asked_resources(options.ray_actor_options)
    return (asked,) if asked else ()


def full_nodes(plan: RoomPlan, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The nodes that have as many rooms of a deployment as they may, by their ids.

    Args:
        plan: The room that is wanted.
        rows: A row for each placement group that there is.
    """
    nodes: Counter[str] = Counter()
    for row in rows:
        if row["name"].startswith(plan.siblings) and row["name"] != plan.name and row["state"] != "REMOVED":
            nodes.update(node for node in row["bundles_to_node_id"].values() if node)
    return sorted(node for node, number in nodes.items() if plan.limit is not None and number >= plan.limit)


def without_nodes(selectors: Sequence[Mapping[str, str]], nodes: Sequence[str]) -> list[dict[str, str]]:
    """Conditions on the node of a room of one bundle, with some nodes left out."""
    own = dict(selectors[0]) if selectors else {}
    if nodes:
        own[NODE_ID] = f"!in({', '.join(nodes)})"
    return [own] if own else []
