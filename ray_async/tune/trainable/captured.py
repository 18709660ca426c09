"""Captured variables: what a trainable carries along by its closure, its arguments' defaults or the main program.

Large ones travel with the trainable to each worker; `with_parameters` stores them once.
"""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ("captured", "size_of", "warn_of_large")

# Bytes from which a captured variable is told of.
LARGE_BYTES = 10_000_000
# Items of a container that are looked at.
_ITEMS = 1_000

_logger = logging.getLogger("ray_async.tune")


def captured(trainable: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of what is pickled with a function, or with the methods of a class.

    Args:
        trainable: The function or class.
    """
    if inspect.isclass(trainable):
        for name, value in vars(trainable).items():
            yield from captured(value) if inspect.isfunction(value) else ((name, value),)
        return
    if isinstance(trainable, functools.partial):
        yield from trainable.keywords.items()
        trainable = trainable.func
    function = inspect.unwrap(getattr(trainable, "_function", trainable))
    if not inspect.isfunction(function):
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    defaults = function.__defaults__ or ()
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    if function.__module__ == "__main__":
        # Other modules are imported by the workers; the main program's variables travel by value.
        for name in function.__code__.co_names:
            if name in function.__globals__:
                yield name, function.__globals__[name]


def size_of(value: Any) -> int:
    """About how many bytes a value takes when it is pickled.

    Args:
        value: The value.
    """
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int):
        return nbytes
    if isinstance(value, (bytes, bytearray, str)):
        return len(value)
    if callable(usage := getattr(value, "memory_usage", None)) and hasattr(value, "columns"):
        return int(usage(index=True).sum())
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        seen = [size_of(item) for item, _ in zip(value, range(_ITEMS), strict=False)]
        return sum(seen) * len(value) // len(seen) if seen else 0
    return sys.getsizeof(value) if isinstance(value, (int, float, complex)) else 0


def warn_of_large(trainable: Any) -> None:
    """Name large variables that a trainable has captured, each once.

    Args:
        trainable: The function or class.
    """
    for name, value in dict(captured(trainable)).items():
        size = size_of(value)
        if size >= LARGE_BYTES:
            _logger.warning(
                "the trainable carries %r of %.0f MB along to each worker: tune.with_parameters(trainable, %s=...) "
                "stores it once, and trials read it in place",
                name,
                size / 1e6,
                name,
            )
