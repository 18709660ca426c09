"""Request routers of one's own: which replica gets a call.

`base` is what a router inherits, `mixins` what it may take in, `replica` and `pending_request` what it is shown, and
`power_of_two` the default as a router. `config` carries the class; `asking` lets a process's calls ask it.
"""

from ray_async.serve.request_router.base import RequestRouter
from ray_async.serve.request_router.mixins import FIFOMixin, LocalityMixin, MultiplexMixin
from ray_async.serve.request_router.pending_request import PendingRequest, ReplicaResult, RequestMetadata
from ray_async.serve.request_router.power_of_two import PowerOfTwoChoicesRequestRouter
from ray_async.serve.request_router.replica import ReplicaID, RunningReplica

__all__ = (
    "FIFOMixin",
    "LocalityMixin",
    "MultiplexMixin",
    "PendingRequest",
    "PowerOfTwoChoicesRequestRouter",
    "ReplicaID",
    "ReplicaResult",
    "RequestMetadata",
    "RequestRouter",
    "RunningReplica",
)
