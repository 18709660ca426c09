"""Values as JSON: what it can hold as it is, all else as well as can be."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ("json_text", "json_value", "pretty_print")


def json_value(value: Any) -> Any:
    """A value as JSON can hold it; what has no form there as its text.

    Args:
        value: Any value.
    """
    # A value of NumPy's cannot be there without NumPy; its floats are floats too.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return json_value(value.tolist())
    if value is None or isinstance(value, (bool, int, str, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_value(item) for item in value]
    return str(value)


def json_text(value: Any) -> str:
    """A value as one line of JSON.

    Args:
        value: Any value.
    """
    return json.dumps(json_value(value))


def pretty_print(result: Mapping[str, Any]) -> str:
    """A result as indented text, without its config and what is None.

    Args:
        result: The result.
    """
    shown = {name: value for name, value in result.items() if value is not None and name != "config"}
    return json.dumps(json_value(shown), indent=2, sort_keys=True)
