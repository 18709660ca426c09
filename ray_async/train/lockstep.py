"""Lockstep: the reports of all workers of a run, taken together and passed on as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ray_async.air.checkpoint import Checkpoint
from ray_async.train import messages as m
from ray_async.train.worker_group import WorkerGroup

__all__ = ("RunSink", "follow")


class RunSink(Protocol):
    """Where the reports of a run go: a trial's session, or the run's own store."""

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> Any:
        """Take metrics."""

    def new_checkpoint(self) -> tuple[str, str]:
        """Name of the next checkpoint, and the directory to write it to."""

    def report_stored(self, metrics: dict[str, Any], name: str, folder: str, done: bool) -> None:
        """Take metrics with a checkpoint that was written there."""

    def get_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from."""


def follow(
    group: WorkerGroup,
    sink: RunSink,
    callbacks: Sequence[Any] = (),
    context: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Take what workers send until all have ended.

    Args:
        group: The workers, whose training functions have been started.
        sink: Where reports go.
        callbacks: What is told of each report.
        context: What it is told of the run.
        metadata: Values that are stored with each checkpoint.

    Returns:
        What the training functions have returned, by rank.

    Raises:
        WorkerGroupError: One has failed or died.
        RuntimeError: They do not all do the same.
    """
    goes_on, answer = False, None
    while True:
        messages: list[m.Message] = group.next(goes_on, answer)
        kind, goes_on, answer = _common(messages), True, None
        if kind == m.ENDED:
            return [message.value for message in messages]
        if kind == m.BROADCAST:
            answer = messages[0].value
        elif kind == m.REPORTED:
            answer = _take(group, sink, messages, metadata)
            checkpoint = Checkpoint(answer) if answer is not None else None
            for callback in callbacks:
                callback.after_report(context, [message.value for message in messages], checkpoint)


def _common(messages: Sequence[m.Message]) -> str:
    kinds = [message.kind for message in messages]
    if len(set(kinds)) > 1:
        seen = ", ".join(f"rank {rank} is at {kind}" for rank, kind in enumerate(kinds))
        raise RuntimeError(
            "all workers of a run must call train.report() and collective functions equally often and in the same "
            f"order, but {seen}"
        )
    return kinds[0]


def _take(
    group: WorkerGroup, sink: RunSink, messages: Sequence[m.Message], metadata: Mapping[str, Any] | None
) -> str | None:
    """Pass a report on, and return the directory of its checkpoint."""
    metrics: Mapping[str, Any] = messages[0].value
    ranks = [rank for rank, message in enumerate(messages) if message.has_files]
    if not ranks:
        sink.report(dict(metrics), None)
        return None
    name, folder = sink.new_checkpoint()
    group.store(ranks, folder)
    if metadata:
        Checkpoint(folder).update_metadata(dict(metadata))
    sink.report_stored(dict(metrics), name, folder, False)
    stored = sink.get_checkpoint()
    return stored.path if stored is not None else None
