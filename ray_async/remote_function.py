"""Remote functions, by the import path that programs use; at home in `api.remote_function`."""

from ray_async.api.remote_function import RemoteFunction

__all__ = ("RemoteFunction",)
