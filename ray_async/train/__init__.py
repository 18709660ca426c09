"""Train: what training code reports to, under the names of Ray's library. Trainers of several workers are not there."""

from __future__ import annotations

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, SyncConfig
from ray_async.air.result import Result
from ray_async.air.session import get_checkpoint, report
from ray_async.submodules import submodule
from ray_async.train.context import TrainContext, get_context

__all__ = (
    "Checkpoint",
    "CheckpointConfig",
    "FailureConfig",
    "Result",
    "RunConfig",
    "ScalingConfig",
    "SyncConfig",
    "TrainContext",
    "get_checkpoint",
    "get_context",
    "report",
)


def __getattr__(name: str) -> object:
    return submodule(__name__, name)
