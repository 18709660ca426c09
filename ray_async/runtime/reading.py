"""What happens when a stored error is read, a wait takes too long, or there is no room."""

from __future__ import annotations

from typing import Any, NoReturn

from ray_async import exceptions as errors
from ray_async.config import ALLOW_OUT_OF_BAND_REFS, Settings

__all__ = ("check_out_of_band", "raise_error", "store_full", "timed_out")


def raise_error(payload: Any) -> NoReturn:
    """Raise the error that a payload stands for, as an instance of its cause's class where it has one."""
    error = errors.from_payload(payload)
    if isinstance(error, errors.RayTaskError):
        raise error.as_instanceof_cause()
    raise error


def timed_out(missing: int, timeout: float) -> BaseException:
    """The error of a get that took longer than it may."""
    noun = "object was" if missing == 1 else "objects were"
    return errors.GetTimeoutError(f"Get timed out: {missing} {noun} not ready after {timeout} seconds.")


def store_full(wanted: int, used: int, limit: int) -> BaseException:
    """The error of an object for which there is no room, even after spilling."""
    if wanted > limit:
        return errors.ObjectStoreFullError(
            f"an object of {wanted} bytes does not fit into an object store of {limit} bytes. Give init() a larger "
            "object_store_memory, or split the object."
        )
    return errors.ObjectStoreFullError(
        f"no room for {wanted} bytes in the object store: {used} of {limit} bytes are in use, and nothing more can be "
        "spilled. Drop references that are not needed, or start with a larger object_store_memory."
    )


def check_out_of_band(ref: Any, settings: Settings) -> None:
    """Refuse to pickle a reference by hand, where that was forbidden."""
    if not settings.get(ALLOW_OUT_OF_BAND_REFS):
        raise errors.OufOfBandObjectRefSerializationException(
            f"{ref!r} is pickled outside of an argument or result, which "
            "RAY_allow_out_of_band_object_ref_serialization=0 forbids"
        )
