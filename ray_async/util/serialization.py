"""Custom serializers for types that pickle cannot handle, or handles badly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.serialization import registry as serializers
from ray_async.serialization.pickling import dumps

__all__ = ("deregister_serializer", "dumps", "register_serializer")


def register_serializer(cls: type, *, serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """Use a pair of functions for objects of exactly the type `cls` that this process sends anywhere.

    Args:
        cls: the type; its subclasses are not affected.
        serializer: turns an object into something that can be pickled.
        deserializer: turns that back into an object. It travels with the data.

    Raises:
        TypeError: `cls` is not a class, or one of the functions cannot be called.

    Example:
        >>> register_serializer(Connection, serializer=lambda c: c.url, deserializer=Connection)
    """
    serializers.register(cls, serializer, deserializer)


def deregister_serializer(cls: type) -> None:
    """Pickle objects of type `cls` as usual again. Without a registration nothing happens."""
    serializers.deregister(cls)
