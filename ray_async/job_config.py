"""A job's settings, by the import path that programs use; at home in `spec.job_config`."""

from ray_async.spec.job_config import JobConfig

__all__ = ("JobConfig",)
