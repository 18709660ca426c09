"""Names of keyword arguments: one that does not exist is refused with the nearest that does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ray_async.suggestion import did_you_mean

__all__ = ("names_keywords", "names_settings")

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def names_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function name the nearest keyword argument in place of one that it does not take.

    Args:
        function: One without ``**`` parameters.

    Example:
        >>> @names_keywords
        ... def half(number):
        ...     return number / 2
        >>> half(numbr=7)
        Traceback (most recent call last):
        TypeError: half() got an unexpected keyword argument 'numbr'. Did you mean 'number'?
    """
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in known:
                raise TypeError(
                    f"{function.__qualname__}() got an unexpected keyword argument {name!r}.{did_you_mean(name, known)}"
                )
        return function(*args, **kwargs)

    return checked


def names_settings(kind: type[T]) -> type[T]:
    """The same for the fields of a dataclass.

    Args:
        kind: The dataclass; it is changed in place.
    """
    create: Callable[..., Any] = kind.__dict__["__init__"]
    type.__setattr__(kind, "__init__", names_keywords(create))
    return kind
