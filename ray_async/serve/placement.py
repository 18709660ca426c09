"""Placement: whether what a deployment's options say of the nodes of its replicas can be had together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray_async.util.placement_group import validate_placement_group

if TYPE_CHECKING:
    from ray_async.serve.options import DeploymentOptions

__all__ = ("asked_resources", "check_placement")

_MAX_REPLICAS = 100  # replicas on a node that can be asked for
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


def asked_resources(options: Mapping[str, Any]) -> dict[str, float]:
    """The resources that actor options ask for, by the node's names."""
    asked = {_NAMES[key]: float(value) for key, value in options.items() if key in _NAMES and value}
    return asked | {key: float(value) for key, value in (options.get("resources") or {}).items() if value}


def check_placement(options: DeploymentOptions) -> None:
    """Check the options of placement groups and nodes.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: A value that is not allowed, or not beside another one.
    """
    _check_group(options)
    most: Any = options.max_replicas_per_node
    if most is None:
        return
    if isinstance(most, bool) or not isinstance(most, int):
        raise TypeError(f"max_replicas_per_node must be an integer, but is {most!r}")
    if not 1 <= most <= _MAX_REPLICAS:
        raise ValueError(f"max_replicas_per_node must be from 1 to {_MAX_REPLICAS}, but is {most}")
    for name in ("placement_group_bundles", "gang_scheduling_config"):
        if getattr(options, name) is not None:
            raise ValueError(f"max_replicas_per_node and {name} exclude each other")
    actor = options.ray_actor_options
    if actor.get("fallback_strategy") or "ray.io/node-id" in (actor.get("label_selector") or {}):
        raise ValueError("max_replicas_per_node excludes a fallback_strategy, and a label_selector of 'ray.io/node-id'")


def _check_group(options: DeploymentOptions) -> None:
    bundles, strategy = options.placement_group_bundles, options.placement_group_strategy
    selectors: Any = options.placement_group_bundle_label_selector
    for name, value in (
        ("placement_group_strategy", strategy),
        ("placement_group_bundle_label_selector", selectors),
    ):
        if value is not None and bundles is None:
            raise ValueError(f"{name} needs placement_group_bundles")
    if bundles is None:
        return
    if strategy is not None and options.gang_scheduling_config is not None:
        raise ValueError("placement_group_strategy and gang_scheduling_config exclude each other: gangs have their own")
    if isinstance(selectors, tuple) and len(selectors) == 1:
        selectors *= len(bundles)
    try:
        validate_placement_group(_listed(bundles), strategy or "PACK", None, None, _listed(selectors))
    except ValueError as error:
        raise ValueError(f"placement_group_bundles: {error}") from None
    _check_first(asked_resources(options.ray_actor_options), bundles[0])


def _check_first(asked: Mapping[str, float], bundle: Mapping[str, float]) -> None:
    lacking = sorted(name for name, amount in asked.items() if amount > bundle.get(name, 0))
    if lacking:
        raise ValueError(
            f"placement_group_bundles: the first bundle holds the replica itself, which asks for {dict(asked)}, and "
            f"has only {dict(bundle)}: too little of {', '.join(lacking)}"
        )


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
