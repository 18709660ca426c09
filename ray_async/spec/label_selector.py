"""Label selectors: which node labels a task or an actor asks for."""

from __future__ import annotations

import re
from typing import Any

__all__ = ("fallback_strategy_error", "label_selector_error")

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_PREFIX = r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?:{_PREFIX}/)?{_NAME}")
_VALUE = re.compile(rf"(?:{_NAME})?")
_OPERATOR = re.compile(r"!?in\((.*)\)")


def label_selector_error(selector: dict[Any, Any] | None) -> str | None:
    """Say what is wrong with a label selector.

    Args:
        selector: Label keys with ``"v"``, ``"!v"``, ``"in(a, b)"`` or ``"!in(a, b)"``.

    Returns:
        The reason, or None for a valid selector.

    Example:
        >>> label_selector_error({"ray.io/market-type": "!spot"}) is None
        True
    """
    for key, value in (selector or {}).items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            return (
                f"Invalid label key {key!r}: it must be a name of letters, digits, '-', '_' and '.' (at most 63), "
                "after an optional DNS prefix and '/'."
            )
        if not isinstance(value, str):
            return f"The selector of label {key!r} must be a string, but is {value!r}."
        error = _condition_error(key, value)
        if error:
            return error
    return None


def fallback_strategy_error(strategies: list[Any] | None) -> str | None:
    """Say what is wrong with a fallback strategy.

    Args:
        strategies: Mappings with the one key ``label_selector``, tried in order.

    Returns:
        The reason, or None for a valid one.
    """
    for strategy in strategies or ():
        if not isinstance(strategy, dict):
            return f"Each fallback strategy must be a dict, but one is {strategy!r}."
        unknown = set(strategy) - {"label_selector"}
        if unknown:
            return f"Unsupported option {sorted(map(str, unknown))} in fallback_strategy: use 'label_selector' only."
        selector = strategy.get("label_selector")
        if not isinstance(selector, dict):
            return f"The label_selector of a fallback strategy must be a dict, but is {selector!r}."
        error = label_selector_error(selector)
        if error:
            return error
    return None


def _condition_error(key: str, condition: str) -> str | None:
    operator = _OPERATOR.fullmatch(condition)
    values = [part.strip() for part in operator[1].split(",")] if operator else [condition.removeprefix("!")]
    for value in values:
        if (operator and not value) or not _VALUE.fullmatch(value):
            return (
                f"Invalid selector {condition!r} of label {key!r}: use 'v', '!v', 'in(a, b)' or '!in(a, b)' with "
                "values of letters, digits, '-', '_' and '.' (at most 63)."
            )
    return None
