"""A replica as routers see it, by the module's name that programs written for Ray import."""

from ray_async.serve.request_router import ReplicaID, RunningReplica

__all__ = ("ReplicaID", "RunningReplica")
