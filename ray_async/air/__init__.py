"""Values of runs that Tune and Train share: settings, checkpoints, and the session that reports go to."""

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, SyncConfig
from ray_async.air.result import Result
from ray_async.submodules import submodule

__all__ = ("Checkpoint", "CheckpointConfig", "FailureConfig", "Result", "RunConfig", "ScalingConfig", "SyncConfig")


def __getattr__(name: str) -> object:
    return submodule(__name__, name)
