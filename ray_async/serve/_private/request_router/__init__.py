"""Request routers by the names of modules that programs written for Ray import; `serve.request_router` has them."""

from ray_async.serve.request_router import PendingRequest, RequestRouter, RunningReplica

__all__ = ("PendingRequest", "RequestRouter", "RunningReplica")
