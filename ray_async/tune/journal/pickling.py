"""Pickling of what outlives a session: references that have gone with theirs do not keep the rest from being read.

A reference of a session that has ended comes back as a `LostReference`.
"""

from __future__ import annotations

import io
import pickle
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import cloudpickle

from ray_async import ObjectRef
from ray_async.actor import ActorHandle

__all__ = ("LostReference", "Pickler", "can_be_pickled", "dumps", "lost_references")


class LostReference:
    """A reference whose object, or handle whose actor, is gone.

    Args:
        kind: What it was.
        reason: Why it cannot be had.
        packed: The reference as it was pickled, which tells it from others.
    """

    def __init__(self, kind: str, reason: str, packed: bytes = b"") -> None:
        self.kind, self.reason, self.packed = kind, reason, packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LostReference) and self.packed == other.packed

    def __hash__(self) -> int:
        return hash(self.packed)

    def __repr__(self) -> str:
        return f"LostReference({self.kind!r}, {self.reason!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # It may be had again where its session still runs.
        return _load, (self.kind, self.packed)


def _load(kind: str, packed: bytes) -> Any:
    try:
        return pickle.loads(packed)
    except ValueError as error:
        return LostReference(kind, str(error), packed)


def _reduce(value: Any) -> tuple[Any, ...]:
    # Without the table of here, so that the reference says by itself how it is pickled.
    return _load, (type(value).__name__, pickle.dumps(value, 5))


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles functions and classes of the main program by value, since a restore is another program's."""

    dispatch_table: ClassVar[ChainMap[Any, Any]] = ChainMap(
        {ObjectRef: _reduce, ActorHandle: _reduce}, cloudpickle.Pickler.dispatch_table
    )


def dumps(value: Any) -> bytes:
    """A value as bytes that ``pickle.loads`` reads, in this session or without it.

    Args:
        value: The value.

    Raises:
        Exception: It cannot be pickled; of the kind that its class has chosen.
    """
    file = io.BytesIO()
    Pickler(file, 5).dump(value)
    return file.getvalue()


def can_be_pickled(value: Any) -> bool:
    """Tell whether a value can be pickled.

    Args:
        value: The value.
    """
    try:
        dumps(value)
    except Exception:  # of whatever kind: that there is one is the answer
        return False
    return True


def lost_references(value: Any, path: str = "") -> Iterator[tuple[str, LostReference]]:
    """Paths of lost references in nested containers.

    Args:
        value: A config, say.
        path: What all paths begin with.
    """
    if isinstance(value, LostReference):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from lost_references(item, f"{path}/{key}" if path else str(key))
    elif isinstance(items := getattr(value, "categories", value), (list, tuple)):  # of a choice, too
        for index, item in enumerate(items):
            yield from lost_references(item, f"{path}/{index}" if path else str(index))
