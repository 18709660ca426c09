"""Placement groups: resources reserved together, over which tasks and actors are then spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.engine.groups import GroupDescription, GroupRow
from ray_async.spec.strategies import GroupHandle
from ray_async.util.bundles import VALID_PLACEMENT_GROUP_STRATEGIES, validate_placement_group

# Checks of one argument each; programs written for Ray import them from here.
from ray_async.util.bundles import _validate_bundle_label_selector as _validate_bundle_label_selector
from ray_async.util.bundles import _validate_bundles as _validate_bundles

if TYPE_CHECKING:
    from ray_async.ids import PlacementGroupID

__all__ = (
    "VALID_PLACEMENT_GROUP_STRATEGIES",
    "PlacementGroup",
    "get_current_placement_group",
    "get_placement_group",
    "placement_group",
    "placement_group_table",
    "remove_placement_group",
    "validate_placement_group",
)


class PlacementGroup(GroupHandle):
    """A handle of a placement group; it can be passed to tasks and actors.

    Args:
        id: the group's id.
        bundle_cache: its bundles, when they are known already.
    """

    def __init__(self, id: PlacementGroupID, bundle_cache: list[dict[str, float]] | None = None) -> None:
        self.id = id
        self.bundle_cache = bundle_cache

    @staticmethod
    def empty() -> PlacementGroup:
        """Return the handle that stands for no group."""
        from ray_async.ids import PlacementGroupID

        return PlacementGroup(PlacementGroupID.nil(), [])

    @property
    def is_empty(self) -> bool:
        """Whether this handle stands for no group."""
        return bool(self.id.is_nil())

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """The resources of each bundle."""
        if self.bundle_cache is None:
            bundles = _row(self.id).get("bundles", {})
            self.bundle_cache = [bundles[index] for index in sorted(bundles)]
        return self.bundle_cache

    @property
    def bundle_count(self) -> int:
        """The number of bundles."""
        return len(self.bundle_specs)

    def ready(self) -> Any:
        """Return a reference that is ready, with this group as its value, once all bundles are reserved.

        Example:
            >>> await placement_group([{"CPU": 1}]).ready()
        """
        return get_session().groups.ready(self.id, self)

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Wait until all bundles are reserved.

        Args:
            timeout_seconds: how long to wait.

        Returns:
            Whether they are.

        Raises:
            TaskPlacementGroupRemoved: the group was removed, or is while this waits.
        """
        ready, _ = ray.wait([self.ready()], num_returns=1, timeout=timeout_seconds)
        if not ready:
            return False
        ray.get(ready[0])  # the error of a group that is gone
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroup) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"PlacementGroup({self.id.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return PlacementGroup, (self.id, self.bundle_cache)


def placement_group(
    bundles: Sequence[Mapping[str, float]],
    strategy: str | None = None,
    name: str = "",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: Sequence[Mapping[str, str]] | None = None,
    topology_strategy: Mapping[str, Any] | None = None,
) -> PlacementGroup:
    """Reserve bundles of resources: all of them, or none as long as they do not fit.

    This returns at once; `ready()` and `wait()` of the result wait until the resources are there.

    Args:
        bundles: the resources of each bundle, such as `[{"CPU": 2}, {"CPU": 1, "GPU": 1}]`.
        strategy: "PACK" (few nodes if possible; the default), "SPREAD" (many nodes if possible), "STRICT_PACK" (one
            node) or "STRICT_SPREAD" (a node for each bundle).
        name: a name for `get_placement_group`.
        lifetime: "detached" outlives the job; None ends with the job or actor that made it.
        _soft_target_node_id: the node to prefer; with "STRICT_PACK" only.
        bundle_label_selector: conditions on the labels of each bundle's node.
        topology_strategy: refused: a strategy per level of the network needs a network.

    Raises:
        ValueError: one of the arguments is not as described.

    Example:
        >>> group = placement_group([{"CPU": 1}] * 2, strategy="SPREAD")
        >>> group.wait(timeout_seconds=10)
        True
    """
    if strategy is not None and topology_strategy is not None:
        raise ValueError("strategy and topology_strategy cannot be given together")
    if topology_strategy:
        raise ValueError("topology_strategy is not available: all nodes are on one machine. Give a strategy.")
    strategy = strategy or "PACK"
    validate_placement_group(bundles, strategy, lifetime, _soft_target_node_id, bundle_label_selector)
    specs = [{resource: float(amount) for resource, amount in bundle.items()} for bundle in bundles]
    selectors = [dict(selector) for selector in bundle_label_selector or ()] or None
    description = GroupDescription(specs, strategy, name or "", lifetime, _soft_target_node_id, selectors)
    return PlacementGroup(get_session().groups.create(description), specs)


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Give a group's resources back, and end the tasks and actors that use them. Returns before that is done.

    Raises:
        ValueError: the argument is not a placement group.
    """
    _check_group(placement_group)
    get_session().groups.remove(placement_group.id)


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """Find a placement group of this namespace by its name.

    Raises:
        ValueError: the name is empty, or there is no such group.
    """
    if not placement_group_name:
        raise ValueError("the name of a placement group to look up must not be empty")
    found = get_session().groups.find(placement_group_name)
    if found is None:
        raise ValueError(f"there is no placement group named {placement_group_name!r} in this namespace")
    return PlacementGroup(found.id, found.bundles)


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """Describe one placement group, or all of them by id.

    Returns:
        For a group: `placement_group_id`, `name`, `bundles` (index → resources), `bundles_to_node_id`, `strategy`,
        `state` ("PENDING", "PREPARED", "CREATED", "RESCHEDULING" or "REMOVED") and `stats`; empty when it is unknown.

    Raises:
        ValueError: the argument is not a placement group.
    """
    if placement_group is None:
        return dict(get_session().groups.table())
    _check_group(placement_group)
    return dict(_row(placement_group.id))


def get_current_placement_group() -> PlacementGroup | None:
    """Return the placement group that the running task or actor is in; None in a driver and outside of groups."""
    from ray_async.ids import PlacementGroupID

    current = ray.get_runtime_context().get_placement_group_id() if ray.is_initialized() else None
    return PlacementGroup(PlacementGroupID.from_hex(current)) if current else None


def _row(group: PlacementGroupID) -> GroupRow:
    return get_session().groups.table(group).get(group.hex(), {})


def _check_group(group: Any) -> None:
    if not isinstance(group, PlacementGroup):
        raise ValueError(f"a PlacementGroup is needed, got {group!r} ({type(group).__name__})")
