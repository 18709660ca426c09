"""Serializers that users registered for their own types; the pickler of the core asks here before it pickles.

The registry holds exact types: a subclass of a registered type is pickled as usual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ("Serializer", "deregister", "reduce_registered", "register", "registry")


class Serializer(NamedTuple):
    """How objects of one type become something that can be pickled, and how they come back."""

    serialize: Callable[[Any], Any]
    deserialize: Callable[[Any], Any]


registry: dict[type, Serializer] = {}


def register(cls: type, serialize: Callable[[Any], Any], deserialize: Callable[[Any], Any]) -> None:
    """Register the pair of functions for objects of exactly the type `cls`, in place of an earlier pair.

    Raises:
        TypeError: `cls` is not a class, or one of the functions cannot be called.
    """
    if not isinstance(cls, type):
        raise TypeError(f"a serializer is registered for a class, not for {cls!r}")
    for role, function in (("serializer", serialize), ("deserializer", deserialize)):
        if not callable(function):
            raise TypeError(f"the {role} for {cls.__name__} must be callable, not {type(function).__name__}")
    registry[cls] = Serializer(serialize, deserialize)


def deregister(cls: type) -> None:
    """Forget the pair registered for `cls`, if there is one."""
    registry.pop(cls, None)


def reduce_registered(obj: Any) -> Any:
    """Return the `__reduce__` value of an object of a registered type, else NotImplemented.

    This is a `reducer_override` of a pickler. The deserializer travels with the data, so that the reading process
    needs no registration.
    """
    serializer = registry.get(type(obj))
    return NotImplemented if serializer is None else (serializer.deserialize, (serializer.serialize(obj),))
