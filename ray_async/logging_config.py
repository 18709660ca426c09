"""Logging of driver and workers, by the import path that programs use; at home in `spec.logging_config`."""

from ray_async.spec.logging_config import LoggingConfig

__all__ = ("LoggingConfig",)
