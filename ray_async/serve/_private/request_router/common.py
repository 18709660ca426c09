"""A request that waits for a replica, by the module's name that programs written for Ray import."""

from ray_async.serve.request_router import PendingRequest, ReplicaResult, RequestMetadata

__all__ = ("PendingRequest", "ReplicaResult", "RequestMetadata")
