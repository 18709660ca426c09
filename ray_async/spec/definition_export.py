"""Definition exports: a function, a class or the name of a method as it goes to workers, once per content."""

from __future__ import annotations

import pickle
from enum import StrEnum
from typing import NamedTuple

__all__ = ("DefinitionExport", "DefinitionKind")


class DefinitionKind(StrEnum):
    """Kinds of what is called."""

    FUNCTION = "function"
    CLASS = "class"
    METHOD = "method"


class DefinitionExport(NamedTuple):
    """What workers must know of a callable.

    Args:
        kind: Which kind of callable.
        name: Name in messages and listings.
        qualname: Module and qualified name.
        is_async: Whether it is ``async def``.
        is_generator: Whether it is a generator function.
        max_calls: Calls of a function after which its worker is replaced; 0 is never.
        method: Name of the method in its class.
        group: Concurrency group of the method.
        in_thread: Whether a sync method of an async actor runs in a thread.
        target: The pickled function or class.
    """

    kind: DefinitionKind
    name: str
    qualname: str
    is_async: bool = False
    is_generator: bool = False
    max_calls: int = 0
    method: str | None = None
    group: str | None = None
    in_thread: bool = False
    target: bytes = b""

    def encode(self) -> bytes:
        """Bytes for the store: the name stands before the pickle, for the node, which unpickles nothing."""
        return self.name.encode() + b"\n" + pickle.dumps((self.kind.value, *self[1:]), protocol=5)

    @classmethod
    def decode(cls, payload: bytes) -> DefinitionExport:
        """Read what `encode` has written."""
        kind, *others = pickle.loads(payload.partition(b"\n")[2])
        return cls(DefinitionKind(kind), *others)
