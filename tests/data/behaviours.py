"""What tables of right values share: values in a form that can be compared, and what a call gives or raises."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import ray_async as ray

__all__ = ("Case", "Raises", "check", "numbers", "plain", "plus_one")

#: A call, and what it gives.
Case = tuple[Callable[[], Any], Any]


class Raises:
    """An error that is wanted in place of a value.

    Args:
        kind: its type.
        text: a pattern that its text has.
    """

    def __init__(self, kind: type[BaseException], text: str = "") -> None:
        self.kind = kind
        self.text = text


def check(case: Case) -> None:
    """Fail unless the call gives what it should; values of other types are others, 1 is not 1.0."""
    call, wanted = case
    if isinstance(wanted, Raises):
        with pytest.raises(wanted.kind, match=wanted.text or None):
            call()
        return
    found = call()
    assert repr(plain(found)) == repr(plain(wanted))


def plain(value: Any) -> Any:
    """A value whose `repr` tells it from others: arrays with their dtypes, dicts in order of their keys."""
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), plain(value.tolist()))
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, (list, tuple, set)):
        return type(value)(plain(item) for item in value)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    return value


def numbers(rows: int = 6, blocks: int = 2) -> Any:
    """A dataset of numbers in so many blocks."""
    return ray.data.range(rows, override_num_blocks=blocks)


def plus_one(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the next number."""
    return {"id": row["id"] + 1}
