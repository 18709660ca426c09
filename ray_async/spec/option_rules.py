"""Option rules: which options tasks, actors and methods take, and what values each allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ray_async.spec.label_selector import fallback_strategy_error, label_selector_error
from ray_async.spec.resource_request import custom_resources_error, quantity_error
from ray_async.suggestion import did_you_mean

__all__ = (
    "ACTOR_RULES",
    "METHOD_CALL_RULES",
    "TASK_RULES",
    "Rule",
    "check_num_returns",
    "remote_usage",
    "validate_actor_options",
    "validate_method_call_options",
    "validate_task_options",
)

_STRATEGIES = frozenset(
    {"PlacementGroupSchedulingStrategy", "NodeAffinitySchedulingStrategy", "NodeLabelSchedulingStrategy"}
)
_NoneType = type(None)


class Rule(NamedTuple):
    """Types an option takes, a check of its value (which returns the reason of a refusal), and its default."""

    types: tuple[type, ...] | None
    problem: Callable[[Any], str | None] | None = None
    default: Any = None

    def validate(self, keyword: str, value: Any) -> None:
        """Check a value.

        Raises:
            TypeError: Its type is not among those allowed.
            ValueError: The value is not allowed.
        """
        if self.types is not None and not isinstance(value, self.types):
            allowed = self.types[0] if len(self.types) == 1 else self.types
            raise TypeError(f"The type of keyword '{keyword}' must be {allowed}, but received type {type(value)}")
        problem = self.problem(value) if self.problem else None
        if problem:
            raise ValueError(problem)


class _Named(NamedTuple):
    """A rule for objects of the library's own classes, known by name so that checking does not import them."""

    classes: frozenset[str]
    words: Callable[[str], bool]
    default: Any = None

    def validate(self, keyword: str, value: Any) -> None:
        if isinstance(value, str):
            if not self.words(value):
                raise ValueError(f"Invalid value {value!r} of keyword '{keyword}'.")
        elif value is not None and not any(base.__name__ in self.classes for base in type(value).__mro__):
            names = ", ".join(sorted(self.classes))
            raise TypeError(
                f"The type of keyword '{keyword}' must be str, None, or one of {names}, but received type {type(value)}"
            )


_AnyRule = Rule | _Named


def _counting(name: str, *, infinite: bool, default: int | None = None) -> Rule:
    least = -1 if infinite else 0
    allowed = "0, -1 or a positive integer, where -1 represents infinity." if infinite else "0 or a positive integer."

    def problem(value: int | None) -> str | None:
        return None if value is None or value >= least else f"The keyword '{name}' only accepts None, {allowed}"

    return Rule((int, _NoneType), problem, default)


def _quantity(name: str, default: float | None = None) -> Rule:
    return Rule((float, int, _NoneType), lambda value: quantity_error(name, value), default)


def _num_returns_problem(value: int | str | None) -> str | None:
    if value is None or value in ("dynamic", "streaming") or (isinstance(value, int) and value >= 0):
        return None
    return (
        "The keyword 'num_returns' only accepts None, a non-negative integer, 'streaming' (for generators), or "
        "'dynamic' (deprecated: use 'streaming'). None means 'streaming' for generators and 1 otherwise."
    )


def _retry_exceptions_problem(value: Any) -> str | None:
    if (
        value is None
        or isinstance(value, bool)
        or all(isinstance(item, type) and issubclass(item, Exception) for item in value)
    ):
        return None
    return "retry_exceptions must be either a boolean or a list of exceptions"


def _backpressure_problem(value: int | None) -> str | None:
    if value == 0 or (value is not None and value < -1):
        return (
            f"_generator_backpressure_num_objects={value} is not allowed: give the number of unread objects at which "
            "the generator pauses (1 or more), or -1 for no limit."
        )
    return None


def _lifetime_problem(value: str | None) -> str | None:
    if value in (None, "detached", "non_detached"):
        return None
    return "actor `lifetime` argument must be one of 'detached', 'non_detached' and 'None'."


def _runtime_env_problem(value: dict[str, Any] | None) -> str | None:
    if not value:
        return None
    from ray_async.runtime_env.validation import check_fields

    check_fields(value)
    return None


def _transport_problem(value: str | None) -> str | None:
    if value in (None, "object_store"):
        return None
    return f"tensor_transport={value!r} is not available: results travel through the object store ('object_store')."


def _transports_problem(value: bool | None) -> str | None:
    if not value:
        return None
    return "enable_tensor_transport=True is not available: results travel through the object store."


def _positive(name: str) -> Callable[[int | None], str | None]:
    return lambda value: None if value is None or value >= 1 else f"The keyword '{name}' must be at least 1."


_RETRY = Rule((bool, list, tuple), _retry_exceptions_problem, False)
_RETURNS = Rule((int, str, _NoneType), _num_returns_problem)
_BACKPRESSURE = Rule((int, _NoneType), _backpressure_problem)
_PER_YIELD = Rule((int,), _positive("_num_objects_per_yield"), 1)

_COMMON: dict[str, _AnyRule] = {
    "label_selector": Rule((dict, _NoneType), label_selector_error),
    "fallback_strategy": Rule((list, _NoneType), fallback_strategy_error),
    "accelerator_type": Rule((str, _NoneType)),
    "memory": _quantity("memory"),
    "name": Rule((str, _NoneType)),
    "num_cpus": _quantity("num_cpus"),
    "num_gpus": _quantity("num_gpus"),
    "object_store_memory": _counting("object_store_memory", infinite=False),
    "placement_group": _Named(frozenset({"PlacementGroup"}), lambda word: word == "default", "default"),
    "placement_group_bundle_index": Rule((int,), None, -1),
    "placement_group_capture_child_tasks": Rule((bool, _NoneType)),
    "resources": Rule((dict, _NoneType), custom_resources_error),
    "runtime_env": Rule((dict, _NoneType), _runtime_env_problem),
    "scheduling_strategy": _Named(_STRATEGIES, lambda word: word in ("DEFAULT", "SPREAD")),
    "enable_task_events": Rule((bool,), None, True),
    "_labels": Rule((dict, _NoneType)),
}
TASK_RULES: dict[str, _AnyRule] = {
    **_COMMON,
    "max_calls": _counting("max_calls", infinite=False, default=0),
    "max_retries": _counting("max_retries", infinite=True, default=3),
    "num_cpus": _quantity("num_cpus", 1),
    "num_returns": _RETURNS,
    "object_store_memory": Rule(
        (int, _NoneType),
        lambda value: None if value is None else "Setting 'object_store_memory' is not implemented for tasks",
    ),
    "retry_exceptions": _RETRY,
    "_generator_backpressure_num_objects": _BACKPRESSURE,
    "_num_objects_per_yield": _PER_YIELD,
    "_generator_detached": Rule((bool, _NoneType)),
}
ACTOR_RULES: dict[str, _AnyRule] = {
    **_COMMON,
    "concurrency_groups": Rule((list, dict, _NoneType)),
    "enable_tensor_transport": Rule((bool, _NoneType), _transports_problem),
    "lifetime": Rule((str, _NoneType), _lifetime_problem),
    "max_concurrency": Rule((int, _NoneType), _positive("max_concurrency")),
    "max_restarts": _counting("max_restarts", infinite=True, default=0),
    "max_task_retries": _counting("max_task_retries", infinite=True, default=0),
    "max_pending_calls": _counting("max_pending_calls", infinite=True, default=-1),
    "namespace": Rule((str, _NoneType)),
    "get_if_exists": Rule((bool,), None, False),
    "allow_out_of_order_execution": Rule((bool, _NoneType)),
    "run_in_thread": Rule((bool, _NoneType)),
    "_actor_generator_backpressure_num_objects": _BACKPRESSURE,
}
METHOD_CALL_RULES: dict[str, _AnyRule] = {
    "name": Rule((str, _NoneType)),
    "num_returns": _RETURNS,
    "max_task_retries": _counting("max_task_retries", infinite=True),
    "retry_exceptions": Rule((bool, list, tuple, _NoneType), _retry_exceptions_problem),
    "concurrency_group": Rule((str, _NoneType)),
    "enable_task_events": Rule((bool, _NoneType)),
    "_generator_backpressure_num_objects": _BACKPRESSURE,
    "_num_objects_per_yield": Rule((int, _NoneType), _positive("_num_objects_per_yield")),
    "run_in_thread": Rule((bool, _NoneType)),
    "_generator_detached": Rule((bool, _NoneType)),
    "tensor_transport": Rule((str, _NoneType), _transport_problem),
    "_labels": Rule((dict, _NoneType)),
}


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
    _validate(options, METHOD_CALL_RULES, "actor methods")
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


def _validate(options: Mapping[str, Any], rules: Mapping[str, _AnyRule], what: str) -> None:
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
