"""Errors of objects and their store."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from .base import RayError

__all__ = (
    "DeviceMemoryLostError",
    "GetTimeoutError",
    "ObjectFetchTimedOutError",
    "ObjectFreedError",
    "ObjectLostError",
    "ObjectReconstructionFailedError",
    "ObjectRefStreamEndOfStreamError",
    "ObjectStoreFullError",
    "OufOfBandObjectRefSerializationException",
    "OutOfDiskError",
    "OwnerDiedError",
    "PlasmaObjectNotAvailable",
    "ReconstructionFailure",
    "ReferenceCountingAssertionError",
)


class GetTimeoutError(RayError, TimeoutError):
    """The objects were not there when the timeout of `get` had passed."""


class PlasmaObjectNotAvailable(RayError):
    """The object is not in the local store."""


class ObjectRefStreamEndOfStreamError(RayError):
    """Marks the end of a streaming generator's references."""


class OufOfBandObjectRefSerializationException(RayError):
    """An `ObjectRef` was pickled outside of a call or `put`, which settings forbid."""


class ObjectStoreFullError(RayError):
    """The object does not fit into the store, even after spilling."""

    def __str__(self) -> str:
        return super().__str__() or (
            "The object store is full of objects that are still referenced. Drop references that are no longer needed, "
            "or give init() a larger object_store_memory."
        )


class OutOfDiskError(RayError):
    """The store is full and the disk that it spills to is, too."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}\nThe object store is full and its spill directory's disk is above its threshold. "
            "Free disk space, or choose another disk with object_spilling_directory."
        ).lstrip("\n")


class ObjectLostError(RayError):
    """All copies of the object are gone and it cannot be computed again.

    Args:
        object_ref_hex: hex id of the object.
        owner_address: address of the process that owns it, if known.
        call_site: where the reference was made, if recorded.
    """

    REASON: ClassVar[str] = "All copies of it were lost with the processes or files that held them."

    def __init__(self, object_ref_hex: str, owner_address: object = None, call_site: str = "") -> None:
        super().__init__(object_ref_hex, owner_address, call_site)
        self.object_ref_hex = object_ref_hex
        self.owner_address = owner_address
        self.call_site = call_site

    def __str__(self) -> str:
        site = f"\nIts reference was made at: {self.call_site}" if self.call_site else ""
        return f"Failed to retrieve object {self.object_ref_hex}. {self._reason()}{site}"

    def _reason(self) -> str:
        return self.REASON


class ObjectFetchTimedOutError(ObjectLostError):
    """No place that holds the object was found in time."""

    REASON = "No place that holds it was found in time."


class ReferenceCountingAssertionError(ObjectLostError, AssertionError):
    """The object was deleted although a reference to it exists."""

    REASON = "It was deleted although this reference to it exists, which is an error in ray_async itself."


class ObjectFreedError(ObjectLostError):
    """The program freed the object by hand."""

    REASON = "The program freed it explicitly while this reference to it existed."


class OwnerDiedError(ObjectLostError):
    """The process that made the reference has ended."""

    def _reason(self) -> str:
        owner = f" ({self.owner_address})" if self.owner_address else ""
        return f"Its owner{owner}, the process that called .remote() or put(), has ended."


class DeviceMemoryLostError(ObjectLostError):
    """Memory of a GPU that the object lies in is gone, with the process that it belonged to or by the program's doing.

    Args:
        object_ref_hex: hex id of the object.
        reason: a sentence about what has happened, which names the process.
    """

    def __init__(self, object_ref_hex: str, reason: str) -> None:
        super().__init__(object_ref_hex)
        self.args = object_ref_hex, reason
        self.reason = reason

    def _reason(self) -> str:
        return self.reason


class ReconstructionFailure(IntEnum):
    """Why an object could not be computed again."""

    MAX_ATTEMPTS_EXCEEDED = 1
    LINEAGE_EVICTED = 2
    PUT = 3
    RETRIES_DISABLED = 4
    BORROWED = 5
    REF_NOT_FOUND = 6
    TASK_CANCELLED = 7
    LINEAGE_DISABLED = 8


_REASONS = {
    ReconstructionFailure.MAX_ATTEMPTS_EXCEEDED: "its task has used up its retries; raise max_retries",
    ReconstructionFailure.LINEAGE_EVICTED: "the record of its task was dropped to save memory; raise "
    "RAY_ASYNC_max_lineage_bytes",
    ReconstructionFailure.PUT: "it came from put(), so no task can compute it; return it from a task instead",
    ReconstructionFailure.RETRIES_DISABLED: "its task was created with max_retries=0",
    ReconstructionFailure.BORROWED: "this process only borrows it, and only its owner can have it computed again",
    ReconstructionFailure.REF_NOT_FOUND: "no reference to it is known",
    ReconstructionFailure.TASK_CANCELLED: "its task was cancelled",
    ReconstructionFailure.LINEAGE_DISABLED: "lineage is switched off; set RAY_ASYNC_lineage_pinning_enabled=1",
}


class ObjectReconstructionFailedError(ObjectLostError):
    """The object was lost, and its task cannot be run again.

    Args:
        object_ref_hex: hex id of the object.
        reason: which rule forbids it.
        reason_message: the rule in words; made from `reason` by default.
        owner_address: address of the owning process, if known.
        call_site: where the reference was made, if recorded.
    """

    def __init__(
        self,
        object_ref_hex: str,
        reason: ReconstructionFailure | None = None,
        reason_message: str | None = None,
        owner_address: object = None,
        call_site: str = "",
    ) -> None:
        super().__init__(object_ref_hex, owner_address, call_site)
        self.reason = reason
        words = _REASONS[reason] if reason is not None else "for a reason that was not recorded"
        self.reason_message = reason_message or words

    def _reason(self) -> str:
        name = self.reason.name if self.reason is not None else "UNKNOWN"
        return f"It was lost and cannot be computed again: [{name}] {self.reason_message}."
