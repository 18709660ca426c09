"""Storage: where an experiment is kept, if that is not a local directory."""

from ray_async.tune.storage.remote_storage import RemoteStorage

__all__ = ("RemoteStorage",)
