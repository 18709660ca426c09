"""Settings of runs that Ray's training libraries share: `ray.air.RunConfig` and its parts."""

from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray_async.submodules import submodule

__all__ = ("CheckpointConfig", "FailureConfig", "RunConfig", "ScalingConfig")


def __getattr__(name: str) -> object:
    return submodule(__name__, name)
