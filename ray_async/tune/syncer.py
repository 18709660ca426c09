"""Names that programs of Ray import from here: how results are copied to their storage."""

from ray_async.air.config import SyncConfig

__all__ = ("SyncConfig",)
