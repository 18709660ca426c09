"""Checks of options as programs give them: unknown keywords, values that are not allowed, and combinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.spec.option_rules import AnyRule
from ray_async.spec.option_table import ACTOR_RULES, METHOD_RULES, TASK_RULES
from ray_async.suggestion import did_you_mean

__all__ = (
    "check_num_returns",
    "remote_usage",
    "validate_actor_options",
    "validate_method_call_options",
    "validate_task_options",
)


def validate_task_options(options: Mapping[str, Any], *, in_options: bool, is_generator: bool | None = None) -> None:
    """Check the options of a task.

    Args:
        options: Options as the user gave them.
        in_options: Whether they come from ``.options()``, which forbids ``max_calls``.
        is_generator: Whether the function is a generator; None when it is not known yet.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: An unknown key, or a value that is not allowed.
    """
    _validate(options, TASK_RULES, "remote functions")
    if in_options and "max_calls" in options:
        raise ValueError("Setting 'max_calls' is not supported in '.options()'.")
    _check_placement(options)
    if is_generator is not None:
        check_num_returns(options.get("num_returns"), is_generator=is_generator)


def validate_actor_options(options: Mapping[str, Any], *, in_options: bool) -> None:
    """Check the options of an actor.

    Args:
        options: Options as the user gave them.
        in_options: Whether they come from ``.options()``, which forbids ``concurrency_groups``.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: An unknown key, or a value that is not allowed.
    """
    _validate(options, ACTOR_RULES, "actors")
    if in_options and "concurrency_groups" in options:
        raise ValueError("Setting 'concurrency_groups' is not supported in '.options()'.")
    if options.get("get_if_exists") and not options.get("name"):
        raise ValueError("The actor name must be specified to use `get_if_exists`.")
    if options.get("object_store_memory") is not None:
        import warnings

        warnings.warn(
            "Setting 'object_store_memory' for actors is deprecated since it does not reserve memory in the store: "
            "objects past the store's limit are spilled.",
            DeprecationWarning,
            stacklevel=3,
        )
    _check_placement(options)


def validate_method_call_options(options: Mapping[str, Any], *, is_generator: bool) -> None:
    """Check the options given to a method's ``.options()``.

    Args:
        options: Options as the user gave them.
        is_generator: Whether the method is a generator.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: An unknown key, or a value that is not allowed.
    """
    _validate(options, METHOD_RULES, "actor methods")
    check_num_returns(options.get("num_returns"), is_generator=is_generator)


def check_num_returns(num_returns: int | str | None, *, is_generator: bool) -> None:
    """Check ``num_returns`` against the kind of function.

    Raises:
        ValueError: It is negative, or "streaming" or "dynamic" of what is no generator.
    """
    if isinstance(num_returns, int) and num_returns < 0:
        raise ValueError(f"num_returns must be >= 0, but got {num_returns}.")
    if num_returns in ("streaming", "dynamic") and not is_generator:
        raise ValueError(
            f"num_returns='{num_returns}' can only be used with generator functions (functions that use 'yield')."
        )


def remote_usage() -> str:
    """Say how ``remote`` is applied, with all options."""
    names = sorted({**TASK_RULES, **ACTOR_RULES})
    return (
        "The @remote decorator must be applied either with no arguments and no parentheses, for example '@remote', "
        f"or with some of the keyword arguments {names}, for example '@remote(num_returns=2)'."
    )


def _validate(options: Mapping[str, Any], rules: Mapping[str, AnyRule], what: str) -> None:
    for keyword, value in options.items():
        rule = rules.get(keyword)
        if rule is None:
            hint = did_you_mean(keyword, rules)
            raise ValueError(f"Invalid option keyword {keyword} for {what}.{hint} Valid ones are {list(rules)}.")
        rule.validate(keyword, value)


def _check_placement(options: Mapping[str, Any]) -> None:
    group = options.get("placement_group", "default")
    if group not in ("default", None) and options.get("scheduling_strategy") is not None:
        raise ValueError(
            "Placement groups should be specified via the scheduling_strategy option. "
            "The placement_group option is deprecated."
        )
