"""Facts of a record: what it says of itself, as `Executor.facts` reads it."""

from __future__ import annotations

from typing import TypedDict

__all__ = ("RecordFacts",)


class RecordFacts(TypedDict):
    """A record at one moment.

    Args:
        seq: Number of the record, which no other one has.
        kind: A `RecordKind`.
        n_returns: Entries of its results.
        stream: Whether the results are a stream's.
        retry_errors: Whether it is run again after errors of the function.
        retries: Retries that are left; -1 has no limit.
        attempt: Runs before this one.
        cancelled, forced: Whether somebody has cancelled it, and by force.
        left: Whether a cancel that its caller began is to be carried on by the node.
        owner: Slot of the process that submitted it.
        job: Number of its job.
        backpressure: Unread items at which a generator pauses; 0 has no limit.
        parent_seq: Number of the record that submitted it; 0 for a driver.
        actor: Offset of its actor; 0 for none.
    """

    seq: int
    kind: int
    n_returns: int
    stream: bool
    retry_errors: bool
    retries: int
    attempt: int
    cancelled: bool
    forced: bool
    left: bool
    owner: int
    job: int
    backpressure: int
    parent_seq: int
    actor: int
