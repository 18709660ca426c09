"""Values of options that tasks, actors and methods have in common: how what programs give is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.spec.strategies import SchedulingStrategyT

__all__ = (
    "NumReturns",
    "RetryExceptions",
    "merge_options",
    "read_num_returns",
    "read_retry_exceptions",
    "read_strategy",
)

NumReturns = int | str
RetryExceptions = bool | tuple[type[Exception], ...]


def merge_options(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Put options of ``.options()`` over those of the decorator, key by key; None clears.

    Example:
        >>> merge_options({"num_cpus": 1, "name": "a"}, {"num_cpus": 2})
        {'num_cpus': 2, 'name': 'a'}
    """
    return {**base, **update}


def read_num_returns(value: NumReturns | None, is_generator: bool) -> NumReturns:
    """Results of a call: "streaming" of generators and 1 of others, where nothing is said."""
    if value is None:
        return "streaming" if is_generator else 1
    return value


def read_retry_exceptions(value: object) -> RetryExceptions:
    """Exceptions after which a call is run again: all, none, or those of a tuple."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return bool(value)


def read_strategy(given: Mapping[str, Any]) -> SchedulingStrategyT:
    """Strategy that options name; the deprecated ones that name a group are one, too.

    Raises:
        ValueError: A bundle of no group is named.
    """
    group = given.get("placement_group", "default")
    if group == "default":
        if given.get("placement_group_bundle_index", -1) != -1:
            raise ValueError("placement group bundle index must be -1 where no placement group is given")
        return given.get("scheduling_strategy")
    if group is None:  # the deprecated way to say: not in the captured group
        return given.get("scheduling_strategy") or "DEFAULT"
    from ray_async.spec.strategies import PlacementGroupSchedulingStrategy  # few programs name a group

    return PlacementGroupSchedulingStrategy(
        group,
        given.get("placement_group_bundle_index", -1),
        given.get("placement_group_capture_child_tasks"),
    )
