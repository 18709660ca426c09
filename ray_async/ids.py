"""Identifiers of tasks, actors, jobs, nodes, workers, functions and placement groups.

An id of an actor, a task or a placement group ends in the id of what it belongs to:

    JobID                                     4 bytes
    ActorID            12 unique + JobID   = 16 bytes
    TaskID              8 unique + ActorID = 24 bytes
    PlacementGroupID   14 unique + JobID   = 18 bytes
    everything else                          28 bytes
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

__all__ = (
    "ActorClassID",
    "ActorID",
    "BaseID",
    "ClusterID",
    "FunctionID",
    "JobID",
    "NodeID",
    "PlacementGroupID",
    "TaskID",
    "UniqueID",
    "WorkerID",
)


class BaseID:
    """An immutable identifier of fixed length.

    Args:
        binary: its bytes, exactly `size()` of them.

    Raises:
        TypeError: the argument is not bytes.
        ValueError: it has another length.

    Example:
        >>> JobID(bytes(4))
        JobID(00000000)
    """

    __slots__ = ("_binary",)
    SIZE: ClassVar[int] = 28
    _binary: bytes

    def __init__(self, binary: bytes) -> None:
        if not isinstance(binary, bytes):
            raise TypeError(f"{type(self).__name__} is made from bytes, not from {type(binary).__name__}")
        if len(binary) != self.SIZE:
            raise ValueError(f"{type(self).__name__} has {self.SIZE} bytes, got {len(binary)}")
        object.__setattr__(self, "_binary", binary)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    @classmethod
    def from_binary(cls, binary: bytes) -> Self:
        """The id with these bytes; ValueError for a wrong length."""
        return cls(binary)

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """The id that `hex()` wrote; ValueError for anything else."""
        return cls(bytes.fromhex(text))

    @classmethod
    def from_random(cls) -> Self:
        """A new id from the system's source of randomness, so that forked processes never repeat each other."""
        return cls(os.urandom(cls.SIZE))

    @classmethod
    def nil(cls) -> Self:
        """The id that stands for none: all bits set."""
        return cls(b"\xff" * cls.SIZE)

    @classmethod
    def size(cls) -> int:
        """Length in bytes."""
        return cls.SIZE

    def binary(self) -> bytes:
        """The bytes."""
        return self._binary

    def hex(self) -> str:
        """The bytes as lower-case hex text."""
        return self._binary.hex()

    def is_nil(self) -> bool:
        """True for the id that stands for none."""
        return self._binary == b"\xff" * self.SIZE

    def __bytes__(self) -> bytes:
        return self._binary

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._binary == other._binary

    def __hash__(self) -> int:
        return hash(self._binary)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._binary.hex()})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._binary,)


class UniqueID(BaseID):
    """An id with no structure."""

    __slots__ = ()


class NodeID(UniqueID):
    """Names a node."""

    __slots__ = ()


class WorkerID(UniqueID):
    """Names a worker or driver process."""

    __slots__ = ()


class FunctionID(UniqueID):
    """Names an exported function."""

    __slots__ = ()


class ActorClassID(UniqueID):
    """Names an exported actor class."""

    __slots__ = ()


class ClusterID(UniqueID):
    """Names a cluster."""

    __slots__ = ()


class JobID(BaseID):
    """Names a job: one driver and all that it started."""

    __slots__ = ()
    SIZE = 4

    @classmethod
    def from_int(cls, value: int) -> JobID:
        """The id of job number `value`; ValueError where that does not fit into four bytes."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"a job number lies between 0 and {(1 << 32) - 1}, got {value}")
        return cls(value.to_bytes(4, "little"))

    def int(self) -> int:
        """The job's number."""
        return int.from_bytes(self._binary, "little")


class ActorID(BaseID):
    """Names an actor."""

    __slots__ = ()
    SIZE = 16

    @classmethod
    def of(cls, job_id: JobID) -> ActorID:
        """A new actor's id in `job_id`."""
        return cls(os.urandom(cls.SIZE - JobID.SIZE) + job_id.binary())

    @property
    def job_id(self) -> JobID:
        """The job that the actor belongs to."""
        return JobID(self._binary[-JobID.SIZE :])


class TaskID(BaseID):
    """Names a task."""

    __slots__ = ()
    SIZE = 24

    @classmethod
    def of(cls, job_id: JobID, actor_id: ActorID | None = None) -> TaskID:
        """A new task's id: of a call of `actor_id`, or of a normal task in `job_id`."""
        owner = actor_id.binary() if actor_id is not None else _no_actor(job_id)
        return cls(os.urandom(cls.SIZE - ActorID.SIZE) + owner)

    def actor_id(self) -> ActorID:
        """The actor whose method it runs; of normal tasks, one whose unique part is nil."""
        return ActorID(self._binary[-ActorID.SIZE :])

    def job_id(self) -> JobID:
        """The job that the task belongs to."""
        return JobID(self._binary[-JobID.SIZE :])


class PlacementGroupID(BaseID):
    """Names a placement group."""

    __slots__ = ()
    SIZE = 18

    @classmethod
    def of(cls, job_id: JobID) -> PlacementGroupID:
        """A new placement group's id in `job_id`."""
        return cls(os.urandom(cls.SIZE - JobID.SIZE) + job_id.binary())


def _no_actor(job_id: JobID) -> bytes:
    return b"\xff" * (ActorID.SIZE - JobID.SIZE) + job_id.binary()
