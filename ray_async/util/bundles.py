"""Bundles of placement groups: checks of their description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.spec.label_selector import label_selector_error

__all__ = ("VALID_PLACEMENT_GROUP_STRATEGIES", "validate_placement_group")

VALID_PLACEMENT_GROUP_STRATEGIES = frozenset({"PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"})

# The name under which the node itself counts the places in a group's bundles.
_RESERVED_RESOURCE = "bundle"


def validate_placement_group(
    bundles: Any,
    strategy: str = "PACK",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: Any = None,
) -> bool:
    """Check the description of a placement group; the arguments are those of `placement_group`.

    Returns:
        True.

    Raises:
        ValueError: says what is wrong with which argument.
    """
    if _soft_target_node_id is not None:
        if strategy != "STRICT_PACK":
            raise ValueError('_soft_target_node_id works with strategy "STRICT_PACK" only')
        if not isinstance(_soft_target_node_id, str):
            raise ValueError(f"_soft_target_node_id must be hexadecimal text, got {_soft_target_node_id!r}")
    _validate_bundles(bundles)
    if bundle_label_selector is not None:
        _validate_bundle_label_selector(bundle_label_selector)
        if bundle_label_selector and len(bundle_label_selector) != len(bundles):
            raise ValueError(
                f"bundle_label_selector has {len(bundle_label_selector)} entries for {len(bundles)} bundles; "
                "it needs one for each"
            )
    if strategy not in VALID_PLACEMENT_GROUP_STRATEGIES:
        choices = ", ".join(sorted(VALID_PLACEMENT_GROUP_STRATEGIES))
        raise ValueError(f"Invalid placement group strategy {strategy!r}; choose one of {choices}")
    if lifetime not in (None, "detached"):
        raise ValueError(f'lifetime must be None or "detached", got {lifetime!r}')
    return True


def _validate_bundles(bundles: Any) -> None:
    if not isinstance(bundles, list):
        raise ValueError(f"bundles must be a list, got {type(bundles).__name__}")
    if not bundles:
        raise ValueError("bundles must be a non-empty list: a group of nothing has no use")
    for bundle in bundles:
        if not isinstance(bundle, Mapping) or not all(map(_is_resource, bundle.items())):
            raise ValueError(
                f"bundles must be resource dictionaries that map names to non-negative numbers, got {bundle!r}"
            )
        if not any(bundle.values()):
            raise ValueError(f"a bundle must not be empty or have only 0 values, got {bundle!r}")
        if _RESERVED_RESOURCE in bundle:
            raise ValueError(f'"{_RESERVED_RESOURCE}" is reserved and cannot be a resource of a bundle')


def _is_resource(item: tuple[Any, Any]) -> bool:
    name, amount = item
    return isinstance(name, str) and isinstance(amount, int | float) and amount >= 0


def _validate_bundle_label_selector(bundle_label_selector: Any) -> None:
    if not isinstance(bundle_label_selector, list):
        raise ValueError(f"bundle_label_selector must be a list, got {type(bundle_label_selector).__name__}")
    for selector in bundle_label_selector:
        if not isinstance(selector, Mapping) or not all(
            isinstance(part, str) for item in selector.items() for part in item
        ):
            raise ValueError(f"bundle_label_selector must be a list of string dictionary entries, got {selector!r}")
        error = label_selector_error(dict(selector))
        if error is not None:
            raise ValueError(f"Invalid label selector provided: {error}")
