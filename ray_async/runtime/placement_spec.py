"""Where a class of tasks or an actor may run, as JSON between the submitter and the node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.runtime.scheduler.labels import LabelSelector
    from ray_async.runtime.scheduler.policy.strategies import Strategy

__all__ = ("PlacementSpec", "describe", "encode", "requirements")

PlacementSpec = dict[str, Any]


def describe(options: Any, *, inherited_group: str | None, captures: bool) -> PlacementSpec:
    """What options say of the place.

    Args:
        options: of a task or an actor.
        inherited_group: placement group that children of the running task go to, if it captures them.
        captures: whether that is so.
    """
    spec: PlacementSpec = {"resources": dict(options.resources)}
    strategy = options.scheduling_strategy
    if strategy is None and inherited_group is not None:
        spec.update(group=inherited_group, bundle=-1, capture=captures)
    elif strategy is not None and strategy != "DEFAULT":
        spec.update(_strategy(strategy, inherited_group, captures))
    if options.label_selector:
        spec["labels"] = dict(options.label_selector)
    if options.fallback_strategy:
        spec["fallback"] = [dict(step["label_selector"]) for step in options.fallback_strategy]
    return spec


def _strategy(strategy: Any, inherited_group: str | None, captures: bool) -> PlacementSpec:
    if strategy == "SPREAD":
        return {"strategy": {"type": "spread"}}
    name = type(strategy).__name__
    if name == "PlacementGroupSchedulingStrategy":
        group = strategy.placement_group
        if group is None or group.is_empty:
            return {}
        capture = strategy.placement_group_capture_child_tasks
        bundle = strategy.placement_group_bundle_index
        _check_bundle(group, bundle)
        return {
            "group": group.id.hex(),
            "bundle": bundle,
            "capture": bool(captures if capture is None and group.id.hex() == inherited_group else capture),
        }
    if name == "NodeAffinitySchedulingStrategy":
        return {
            "strategy": {
                "type": "affinity",
                "node": str(strategy.node_id),
                "soft": bool(strategy.soft),
                "spill": bool(strategy._spill_on_unavailable),
                "fail": bool(strategy._fail_on_unavailable),
            }
        }
    if name == "NodeLabelSchedulingStrategy":
        return {"strategy": {"type": "label", "hard": _labels(strategy.hard), "soft": _labels(strategy.soft)}}
    raise ValueError(f"scheduling_strategy {strategy!r} is none of the strategies that there are")


def _check_bundle(group: Any, bundle: int) -> None:
    if not -1 <= bundle < group.bundle_count:
        raise ValueError(
            f"placement group bundle index {bundle} is invalid: the placement group has bundles "
            f"0 to {group.bundle_count - 1}, and -1 stands for any"
        )


def check_fits(name: str, options: Any, resources: Mapping[str, float]) -> None:
    """Refuse a request that no bundle of its placement group could hold.

    Args:
        name: the function or class, for the error.
        options: of the task or actor.
        resources: quantities wanted.

    Raises:
        ValueError: it fits in no bundle that it may use.
    """
    strategy = options.scheduling_strategy
    if type(strategy).__name__ != "PlacementGroupSchedulingStrategy" or strategy.placement_group.is_empty:
        return
    bundles = strategy.placement_group.bundle_specs
    index = strategy.placement_group_bundle_index
    _check_bundle(strategy.placement_group, index)
    usable = bundles if index == -1 else [bundles[index]]
    if not any(all(bundle.get(kind, 0) >= amount for kind, amount in resources.items()) for bundle in usable):
        request = {kind: int(amount) if amount == int(amount) else amount for kind, amount in resources.items()}
        raise ValueError(
            f"Cannot schedule {name} with the placement group because the resource request {request} cannot fit into "
            f"any bundles for the placement group, {usable}."
        )


def _labels(conditions: Any) -> dict[str, Any]:
    found = {}
    for key, operator in (conditions or {}).items():
        values = [str(value) for value in getattr(operator, "values", ())]
        found[key] = [type(operator).__name__, values]
    return found


def encode(spec: PlacementSpec) -> bytes:
    """A spec as canonical bytes: equal specs have equal ones."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()


def requirements(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduler's arguments for a spec.

    Raises:
        ValueError, KeyError, TypeError: the spec is not one that `describe` made.
    """
    from ray_async.runtime.scheduler.labels import LabelSelector
    from ray_async.runtime.scheduler.resources import ResourceSet

    return {
        "resources": ResourceSet.of({str(k): float(v) for k, v in spec["resources"].items()}),
        "strategy": _parse_strategy(spec.get("strategy")),
        "label_selector": LabelSelector.parse(spec.get("labels") or {}),
        "fallback": tuple(LabelSelector.parse(step) for step in spec.get("fallback") or ()),
        "placement_group": spec.get("group"),
        "bundle_index": int(spec.get("bundle", -1)),
        "env_key": str(spec.get("env_key", "")),
    }


def _parse_strategy(given: Mapping[str, Any] | None) -> Strategy:
    from ray_async.runtime.scheduler.policy import strategies

    if not given:
        return strategies.DEFAULT
    if given["type"] == "spread":
        return strategies.SpreadStrategy()
    if given["type"] == "affinity":
        return strategies.NodeAffinity(
            str(given["node"]), bool(given["soft"]), bool(given.get("spill")), bool(given.get("fail"))
        )
    return strategies.NodeLabel(_parse_labels(given.get("hard")), _parse_labels(given.get("soft")))


def _parse_labels(conditions: Mapping[str, Any] | None) -> LabelSelector:
    from ray_async.runtime.scheduler import labels

    found: dict[str, Any] = {}
    for key, (name, values) in (conditions or {}).items():
        kind = labels.LABEL_OPERATORS[name]
        found[key] = kind(tuple(values)) if values else kind()
    return labels.LabelSelector.of(found)
