"""Train: training functions in several workers, under the names of Ray's library; `ray_async.train.torch` for torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, SyncConfig
from ray_async.air.result import Result
from ray_async.air.session import get_checkpoint, report
from ray_async.submodules import submodule
from ray_async.train.context import TrainContext, get_context

if TYPE_CHECKING:
    from ray_async.train.backend import Backend, BackendConfig
    from ray_async.train.data_config import DataConfig
    from ray_async.train.dataset_shard import get_dataset_shard
    from ray_async.train.error import TrainingFailedError
    from ray_async.train.user_callback import UserCallback

__all__ = (
    "Backend",
    "BackendConfig",
    "Checkpoint",
    "CheckpointConfig",
    "DataConfig",
    "FailureConfig",
    "Result",
    "RunConfig",
    "ScalingConfig",
    "SyncConfig",
    "TrainContext",
    "TrainingFailedError",
    "UserCallback",
    "get_checkpoint",
    "get_context",
    "get_dataset_shard",
    "report",
)

_HOMES = {
    "Backend": "backend",
    "BackendConfig": "backend",
    "DataConfig": "data_config",
    "TrainingFailedError": "error",
    "UserCallback": "user_callback",
    "get_dataset_shard": "dataset_shard",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return submodule(__name__, name)
