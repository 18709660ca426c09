"""Collective operations between processes: each member of a group calls the same functions, with a tensor of its own.

Gloo and NCCL are torch's, which is needed for them; `register_collective_backend` adds others.
"""

from __future__ import annotations

from ray_async.util.collective.backends import is_backend_available, register_collective_backend
from ray_async.util.collective.collective import (
    allgather,
    allreduce,
    barrier,
    broadcast,
    create_collective_group,
    destroy_collective_group,
    get_collective_group_size,
    get_group_handle,
    get_rank,
    gloo_available,
    init_collective_group,
    is_group_initialized,
    nccl_available,
    recv,
    reduce,
    reducescatter,
    send,
)
from ray_async.util.collective.group import CollectiveGroup
from ray_async.util.collective.types import Backend, ReduceOp

__all__ = (
    "Backend",
    "CollectiveGroup",
    "ReduceOp",
    "allgather",
    "allreduce",
    "barrier",
    "broadcast",
    "create_collective_group",
    "destroy_collective_group",
    "get_collective_group_size",
    "get_group_handle",
    "get_rank",
    "gloo_available",
    "init_collective_group",
    "is_backend_available",
    "is_group_initialized",
    "nccl_available",
    "recv",
    "reduce",
    "reducescatter",
    "register_collective_backend",
    "send",
)
