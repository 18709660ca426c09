"""Errors of reading objects: a stored error, a wait that takes too long, a store without room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ray_async import exceptions as errors
from ray_async._core import store, submission
from ray_async._core.arena import get_current
from ray_async._core.constants import EntryState
from ray_async._core.object_view import holders
from ray_async.config import ALLOW_OUT_OF_BAND_REFS, Settings

if TYPE_CHECKING:
    from ray_async._core.arena import Arena
    from ray_async.engine.objects import ObjectLocation
    from ray_async.runtime.session.core_session import CoreSession

__all__ = (
    "check_out_of_band",
    "explain_timeout",
    "locations",
    "raise_error",
    "session_ended",
    "store_full",
    "timed_out",
)

_SHORTEST_S = 0.1  # shorter timeouts are looks rather than waits, and are not made longer by a question
_ANSWER_S = 0.2
_KINDS = {
    "viewed": "objects that arrays and other views look into",
    "values": "other objects",
    "arguments": "arguments of tasks that wait or run",
    "lineage": "arguments kept to compute lost results again",
    "unsealed": "objects that are being written or moved",
    "queues": "queues",
    "small": "small objects, records and references",
}
_UNKNOWN = "more is not known, since the object store had no room for the error"
_LEAST_BYTES = 8  # of a value that lies in its entry


def raise_error(payload: Any) -> NoReturn:
    """Raise the error that a payload stands for, as an instance of its cause's class where it has one."""
    if payload == store.CANCELLED:
        raise errors.TaskCancelledError(None, f"This task was cancelled; {_UNKNOWN}.")
    if payload == store.FAILED:
        raise errors.RaySystemError(f"The call failed; {_UNKNOWN}.")
    error = errors.from_payload(payload)
    if isinstance(error, errors.RayTaskError):
        raise error.as_instanceof_cause()
    raise error


def session_ended() -> BaseException:
    """The error of a wait that the session's end has ended."""
    return errors.RaySystemError("the session was shut down while this was awaited")


def timed_out(missing: int, timeout: float) -> BaseException:
    """The error of a get that took longer than it may."""
    noun = "object was" if missing == 1 else "objects were"
    return errors.GetTimeoutError(f"Get timed out: {missing} {noun} not ready after {timeout} seconds.")


def explain_timeout(
    session: CoreSession, error: errors.GetTimeoutError, refs: list[Any], timeout: float | None
) -> errors.GetTimeoutError:
    """The error of a get that took too long, with the node's explanation of what the first missing object waits for.

    Without an answer in a moment the error stays as it is.
    """
    # An error that a task has raised and that was stored is of a class of its own.
    if type(error) is not errors.GetTimeoutError or timeout is None or timeout < _SHORTEST_S:
        return error
    missing = next((ref for ref in refs if not store.is_ready(session.arena, ref)), None)
    record = submission.record_of(missing) if missing is not None else 0
    answer = session.link.ask_within(_ANSWER_S, "explain_task", record=record) if record else None
    reason = answer and answer.get("value")
    return errors.GetTimeoutError(f"{error} {reason}") if reason else error


def locations(arena: Arena, numbers: dict[str, int], refs: list[Any]) -> list[ObjectLocation]:
    """Nodes that have a copy of an object (by their numbers), its size (None: not there yet), whether it is on disk."""
    rows: list[ObjectLocation] = []
    for ref in refs:
        facts = store.describe(arena, ref)
        there = facts["state"] != EntryState.PENDING
        node_ids = [node_id for node_id, number in numbers.items() if there and facts["copies"] >> number & 1]
        size = max(facts["size"], _LEAST_BYTES) if there else None
        rows.append({"node_ids": node_ids, "object_size": size, "did_spill": facts["state"] == EntryState.SPILLED})
    return rows


def store_full(wanted: int, used: int, limit: int) -> BaseException:
    """The error of an object for which there is no room, even after spilling."""
    if wanted > limit:
        return errors.ObjectStoreFullError(
            f"an object of {wanted} bytes does not fit into an object store of {limit} bytes. Give init() a larger "
            "object_store_memory, or split the object."
        )
    return errors.ObjectStoreFullError(
        f"no room for {wanted} bytes in the object store: {used} of {limit} bytes are in use, and nothing more can be "
        f"spilled. {_holders()}Drop references that are not needed any more and arrays that look into the store, or "
        "start with a larger object_store_memory."
    )


def _holders() -> str:
    """A sentence about what takes the store, most first; empty when there is no store to look at any more."""
    arena = get_current()
    if arena is None or arena.closed:
        return ""
    taken = sorted(((size, _KINDS[kind]) for kind, size in holders(arena).items() if size), reverse=True)
    return f"The room is taken by {', '.join(f'{what} ({size} bytes)' for size, what in taken)}. " if taken else ""


def check_out_of_band(ref: Any, settings: Settings) -> None:
    """Refuse to pickle a reference by hand, where that was forbidden."""
    if not settings.get(ALLOW_OUT_OF_BAND_REFS):
        raise errors.OufOfBandObjectRefSerializationException(
            f"{ref!r} is pickled outside of an argument or result, which "
            "RAY_allow_out_of_band_object_ref_serialization=0 forbids"
        )
