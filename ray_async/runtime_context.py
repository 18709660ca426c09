"""The runtime context, by the import path that programs use; at home in `api.runtime_context`."""

from ray_async.api.runtime_context import ConnectedProcess, RuntimeContext, get_runtime_context

__all__ = (
    "ConnectedProcess",
    "RuntimeContext",
    "get_runtime_context",
)
