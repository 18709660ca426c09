"""Placement of a class of tasks or of an actor: what it holds, and where it may run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ray_async.spec.actor_options import ActorOptions
    from ray_async.spec.strategies import LabelMatch
    from ray_async.spec.task_options import TaskOptions

__all__ = ("Labels", "NodeChoice", "Placement", "check_fits", "describe_placement")

#: Conditions on labels: for each label the operator's name and its values.
Labels = dict[str, tuple[str, list[str]]]


class NodeChoice(NamedTuple):
    """A strategy that is not the default one.

    Args:
        kind: "spread", "affinity" or "label"; "guest" for what another node of a cluster has sent to this one.
        node: For affinity and guests: the node's id, in hexadecimal digits.
        soft: For affinity: whether another node will do when that one is gone, or could never fit the request.
        spill: For soft affinity: whether another node will do when that one is busy.
        fail: For hard affinity: whether the request fails when the node is busy.
        hard, preferred: For labels: conditions that a node must meet, and those that it should meet.
    """

    kind: str
    node: str = ""
    soft: bool = False
    spill: bool = False
    fail: bool = False
    hard: Labels | None = None
    preferred: Labels | None = None


class Placement(NamedTuple):
    """What is held, and where.

    Args:
        resources: Quantities held while the tasks run, or for the actor's life (bytes for memory).
        choice: How a node is chosen; None is the default way.
        labels: The selector of nodes, as programs write it.
        fallback: Selectors to try, in order, when no node of ``labels`` has room.
        group: Id of the placement group whose bundles are used, in hexadecimal digits; None for none.
        bundle: Bundle of that group; -1 for any.
        capture: Whether what is started from there goes to the group as well.
    """

    resources: dict[str, float]
    choice: NodeChoice | None = None
    labels: dict[str, str] | None = None
    fallback: list[dict[str, str]] | None = None
    group: str | None = None
    bundle: int = -1
    capture: bool = False

    @classmethod
    def restore(cls, values: list[object]) -> Placement:
        """Make a placement of its fields as JSON brings them.

        Raises:
            TypeError, ValueError: They are not those of a placement.
        """
        found = cls(*values)  # type: ignore[arg-type]
        return found if found.choice is None else found._replace(choice=NodeChoice(*found.choice))


def describe_placement(
    options: TaskOptions | ActorOptions, *, inherited_group: str | None, captures: bool
) -> Placement:
    """Describe what options say of the place.

    Args:
        options: Of a task or an actor.
        inherited_group: Placement group that children of the running task go to, if it captures them.
        captures: Whether that is so.

    Raises:
        ValueError: The strategy is none that there is, or names a bundle that its group has not.
    """
    choice, group, bundle, capture = None, None, -1, False
    strategy = options.scheduling_strategy
    if strategy is None:
        if inherited_group is not None:
            group, capture = inherited_group, captures
    elif strategy == "SPREAD":
        choice = NodeChoice("spread")
    elif strategy != "DEFAULT":
        choice, group, bundle, capture = _read_strategy(strategy, inherited_group, captures)
    fallback = options.fallback_strategy
    return Placement(
        dict(options.resources),
        choice,
        dict(options.label_selector) if options.label_selector else None,
        [dict(step["label_selector"]) for step in fallback] if fallback else None,
        group,
        bundle,
        capture,
    )


def _read_strategy(
    strategy: object, inherited_group: str | None, captures: bool
) -> tuple[NodeChoice | None, str | None, int, bool]:
    """How a node is chosen, the group, the bundle, and whether children are captured."""
    from ray_async.spec import strategies

    if isinstance(strategy, strategies.PlacementGroupSchedulingStrategy):
        group = strategy.placement_group
        if group.is_empty:
            return None, None, -1, False
        identity = group.id.hex()
        bundle, capture = strategy.placement_group_bundle_index, strategy.placement_group_capture_child_tasks
        _check_bundle(group.bundle_specs, bundle)
        return None, identity, bundle, bool(captures if capture is None and identity == inherited_group else capture)
    if isinstance(strategy, strategies.NodeAffinitySchedulingStrategy):
        spills, fails = strategy._spill_on_unavailable, strategy._fail_on_unavailable
        choice = NodeChoice("affinity", strategy.node_id, bool(strategy.soft), bool(spills), bool(fails))
        return choice, None, -1, False
    if isinstance(strategy, strategies.NodeLabelSchedulingStrategy):
        choice = NodeChoice("label", hard=_labels(strategy.hard), preferred=_labels(strategy.soft))
        return choice, None, -1, False
    raise ValueError(f"scheduling_strategy {strategy!r} is none of the strategies that there are")


def _check_bundle(bundles: list[dict[str, float]], index: int) -> None:
    if not -1 <= index < len(bundles):
        raise ValueError(
            f"placement group bundle index {index} is invalid: the placement group has bundles "
            f"0 to {len(bundles) - 1}, and -1 stands for any"
        )


def check_fits(name: str, options: TaskOptions | ActorOptions, resources: Mapping[str, float]) -> None:
    """Refuse a request that no bundle of its placement group could hold.

    Args:
        name: The function or class, for the error.
        options: Of the task or actor.
        resources: Quantities wanted.

    Raises:
        ValueError: It fits in no bundle that it may use.
    """
    strategy = options.scheduling_strategy
    if strategy is None or isinstance(strategy, str):
        return
    from ray_async.spec.strategies import PlacementGroupSchedulingStrategy

    if not isinstance(strategy, PlacementGroupSchedulingStrategy) or strategy.placement_group.is_empty:
        return
    bundles = strategy.placement_group.bundle_specs
    index = strategy.placement_group_bundle_index
    _check_bundle(bundles, index)
    usable = bundles if index == -1 else [bundles[index]]
    if not any(all(bundle.get(kind, 0) >= amount for kind, amount in resources.items()) for bundle in usable):
        request = {kind: int(amount) if amount == int(amount) else amount for kind, amount in resources.items()}
        raise ValueError(
            f"Cannot schedule {name} with the placement group because the resource request {request} cannot fit into "
            f"any bundles for the placement group, {usable}."
        )


def _labels(conditions: LabelMatch) -> Labels:
    return {
        key: (condition.operator, [str(value) for value in condition.values]) for key, condition in conditions.items()
    }
