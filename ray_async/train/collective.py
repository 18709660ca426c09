"""Collective calls of the workers of a training run: each waits until all have made it."""

from __future__ import annotations

from typing import Any, TypeVar

from ray_async.air.session import current
from ray_async.train import messages as m
from ray_async.train.train_session import TrainSession

__all__ = ("barrier", "broadcast_from_rank_zero")

T = TypeVar("T")


def barrier() -> None:
    """Wait until all workers have called this.

    Raises:
        RuntimeError: Not in a training function of a trainer.
    """
    _session("barrier").together(m.BARRIER)


def broadcast_from_rank_zero(data: T) -> T:
    """The object that the worker of rank 0 gives, in all workers.

    Args:
        data: The object; others' are not looked at.

    Raises:
        RuntimeError: Not in a training function of a trainer.
    """
    found: Any = _session("broadcast_from_rank_zero").together(m.BROADCAST, data)
    shared: T = found
    return shared


def _session(name: str) -> TrainSession:
    session = current()
    if not isinstance(session, TrainSession):
        raise RuntimeError(f"{name}() was called outside of the training function of a trainer")
    return session
