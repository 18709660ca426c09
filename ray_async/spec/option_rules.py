"""Rules of options: which types and values an option allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ray_async.spec.resource_request import quantity_error

__all__ = (
    "AnyRule",
    "HandleRule",
    "Rule",
    "backpressure_problem",
    "counting",
    "group_classes",
    "lifetime_problem",
    "num_returns_problem",
    "optional",
    "positive",
    "quantity",
    "retry_exceptions_problem",
    "runtime_env_problem",
    "strategy_classes",
    "transport_problem",
    "transports_problem",
)

_NoneType = type(None)


class Rule(NamedTuple):
    """Types that an option takes, and a check of its value, which returns the reason of a refusal."""

    types: tuple[type, ...]
    problem: Callable[[Any], str | None] | None = None

    def validate(self, keyword: str, value: object) -> None:
        """Check a value.

        Raises:
            TypeError: Its type is not among those allowed.
            ValueError: The value is not allowed.
        """
        if not isinstance(value, self.types):
            allowed = self.types[0] if len(self.types) == 1 else self.types
            raise TypeError(f"The type of keyword '{keyword}' must be {allowed}, but received type {type(value)}")
        problem = self.problem(value) if self.problem else None
        if problem:
            raise ValueError(problem)


class HandleRule(NamedTuple):
    """A rule for None, some words, and objects of classes that are imported when such an object comes."""

    classes: Callable[[], tuple[type, ...]]
    words: tuple[str, ...]

    def validate(self, keyword: str, value: object) -> None:
        """Check a value.

        Raises:
            TypeError: It is of another class.
            ValueError: It is another word.
        """
        if isinstance(value, str):
            if value not in self.words:
                raise ValueError(f"Invalid value {value!r} of keyword '{keyword}'.")
        elif value is not None and not isinstance(value, self.classes()):
            names = ", ".join(sorted(found.__name__ for found in self.classes()))
            raise TypeError(
                f"The type of keyword '{keyword}' must be str, None, or one of {names}, but received type {type(value)}"
            )


AnyRule = Rule | HandleRule


def counting(name: str, *, infinite: bool) -> Rule:
    """A rule for counts, which None leaves to the default; -1 means infinity where that is allowed."""
    least = -1 if infinite else 0
    allowed = "0, -1 or a positive integer, where -1 represents infinity." if infinite else "0 or a positive integer."

    def problem(value: int | None) -> str | None:
        return None if value is None or value >= least else f"The keyword '{name}' only accepts None, {allowed}"

    return Rule((int, _NoneType), problem)


def quantity(name: str) -> Rule:
    """A rule for quantities of a resource."""
    return Rule((float, int, _NoneType), lambda value: quantity_error(name, value))


def optional(kind: type, problem: Callable[[Any], str | None] | None = None) -> Rule:
    """A rule for values of one type, or None."""
    return Rule((kind, _NoneType), problem)


def group_classes() -> tuple[type, ...]:
    """Handles of placement groups."""
    from ray_async.spec.strategies import GroupHandle

    return (GroupHandle,)


def strategy_classes() -> tuple[type, ...]:
    """Scheduling strategies that are objects."""
    from ray_async.spec import strategies

    return (
        strategies.PlacementGroupSchedulingStrategy,
        strategies.NodeAffinitySchedulingStrategy,
        strategies.NodeLabelSchedulingStrategy,
    )


def num_returns_problem(value: int | str | None) -> str | None:
    """Refuse what is no count, word or None."""
    if value is None or value in ("dynamic", "streaming") or (isinstance(value, int) and value >= 0):
        return None
    return (
        "The keyword 'num_returns' only accepts None, a non-negative integer, 'streaming' (for generators), or "
        "'dynamic' (deprecated: use 'streaming'). None means 'streaming' for generators and 1 otherwise."
    )


def retry_exceptions_problem(value: Any) -> str | None:
    """Refuse what is neither a boolean nor a list of exceptions."""
    if (
        value is None
        or isinstance(value, bool)
        or all(isinstance(item, type) and issubclass(item, Exception) for item in value)
    ):
        return None
    return "retry_exceptions must be either a boolean or a list of exceptions"


def backpressure_problem(value: int | None) -> str | None:
    """Refuse a limit at which a generator could never yield."""
    if value == 0 or (value is not None and value < -1):
        return (
            f"_generator_backpressure_num_objects={value} is not allowed: give the number of unread objects at which "
            "the generator pauses (1 or more), or -1 for no limit."
        )
    return None


def lifetime_problem(value: str | None) -> str | None:
    """Refuse an unknown lifetime."""
    if value in (None, "detached", "non_detached"):
        return None
    return "actor `lifetime` argument must be one of 'detached', 'non_detached' and 'None'."


def runtime_env_problem(value: dict[str, object] | None) -> str | None:
    """Refuse what is no runtime environment."""
    if not value:
        return None
    from ray_async.runtime_env.validation import check_fields

    check_fields(value)
    return None


def transport_problem(value: str | None) -> str | None:
    """Refuse every transport of results but the object store."""
    if value in (None, "object_store"):
        return None
    return f"tensor_transport={value!r} is not available: results travel through the object store ('object_store')."


def transports_problem(value: bool | None) -> str | None:
    """Refuse that results travel otherwise than through the object store."""
    if not value:
        return None
    return "enable_tensor_transport=True is not available: results travel through the object store."


def positive(name: str) -> Callable[[int | None], str | None]:
    """A check for numbers of at least 1, or None."""
    return lambda value: None if value is None or value >= 1 else f"The keyword '{name}' must be at least 1."
