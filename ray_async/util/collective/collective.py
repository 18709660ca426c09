"""Collectives: operations that several processes do together, each with a tensor of its own. All are in place."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from ray_async.api.runtime_context import get_runtime_context
from ray_async.engine.current import get_session
from ray_async.util.collective.backends import backend_class, backend_name, is_backend_available
from ray_async.util.collective.group import CollectiveGroup
from ray_async.util.collective.types import Backend, ReduceOp

__all__ = (
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
    "is_group_initialized",
    "nccl_available",
    "recv",
    "reduce",
    "reducescatter",
    "send",
)

_DECLARED = b"collective.declared"
_groups: dict[str, CollectiveGroup] = {}
_lock = threading.RLock()


def nccl_available() -> bool:
    """Whether groups of GPUs can be made in this process."""
    return is_backend_available(Backend.NCCL)


def gloo_available() -> bool:
    """Whether groups of tensors in memory can be made in this process."""
    return is_backend_available(Backend.GLOO)


def is_group_initialized(group_name: str = "default") -> bool:
    """Whether this process is a member of a group."""
    return group_name in _groups


def init_collective_group(
    world_size: int,
    rank: int,
    backend: str = Backend.NCCL,
    group_name: str = "default",
    gloo_timeout: int = 30000,
) -> None:
    """Become a member of a group; each member calls this, and all wait for each other.

    Args:
        world_size: How many members it has.
        rank: Which of them this process is, from 0.
        backend: "GLOO", "NCCL", or a name that was registered.
        group_name: The group's name.
        gloo_timeout: Milliseconds that members wait for each other, here and in each operation.

    Raises:
        ImportError: What the backend needs is not installed.
        RuntimeError: This process is a member already, or the backend is not available.
        TimeoutError: Some members have not come.
        ValueError: An unknown backend, or a rank out of range.

    Example:
        >>> collective.init_collective_group(2, rank, "gloo")
        >>> collective.allreduce(array)
    """
    name = backend_name(backend)
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(f"rank must be from 0 to world_size - 1, but is {rank} of {world_size}.")
    with _lock:
        if group_name in _groups:
            raise RuntimeError(f"This process is a member of the group {group_name!r} already.")
        kind = backend_class(name)
        if not kind.is_available():
            raise RuntimeError(f"The backend {name} is not available in this process.")
        _groups[group_name] = kind(world_size, rank, group_name, gloo_timeout)


def create_collective_group(
    actors: Sequence[Any],
    world_size: int,
    ranks: Sequence[int],
    backend: str = Backend.NCCL,
    group_name: str = "default",
    gloo_timeout: int = 30000,
) -> None:
    """Declare actors as a group: each becomes a member at its first operation.

    Args:
        actors: Their handles.
        world_size: How many they are.
        ranks: Which of them each is.
        backend: "GLOO", "NCCL", or a name that was registered.
        group_name: The group's name.
        gloo_timeout: Milliseconds that members wait for each other.

    Raises:
        RuntimeError: A group of that name was declared.
        ValueError: An unknown backend, or numbers and ranks that do not fit.
    """
    name = backend_name(backend)
    if len(actors) != world_size or sorted(ranks) != list(range(world_size)):
        raise ValueError(
            f"{world_size} actors have the ranks from 0 to {world_size - 1}, each once, not {list(ranks)}."
        )
    places = {actor._actor_id.hex(): rank for actor, rank in zip(actors, ranks, strict=True)}
    facts = {"places": places, "backend": name, "timeout_ms": gloo_timeout}
    if get_session().key_values.put(group_name.encode(), json.dumps(facts).encode(), _DECLARED, False):
        raise RuntimeError(f"The group {group_name!r} was declared already.")


def destroy_collective_group(group_name: str = "default") -> None:
    """Leave a group, if this process is a member of it; a declaration of it is taken back."""
    with _lock:
        group = _groups.pop(group_name, None)
        if group is not None:
            group.destroy()
    get_session().key_values.remove(group_name.encode(), _DECLARED, False)


def get_rank(group_name: str = "default") -> int:
    """Which member of a group this process is; -1 where it is none."""
    group = _groups.get(group_name)
    return -1 if group is None else group.rank


def get_collective_group_size(group_name: str = "default") -> int:
    """How many members a group has; -1 where this process is none."""
    group = _groups.get(group_name)
    return -1 if group is None else group.world_size


def get_group_handle(group_name: str = "default") -> CollectiveGroup:
    """This process's membership in a group; of one that was declared, it begins here.

    Raises:
        RuntimeError: This process is no member.
    """
    group = _groups.get(group_name)
    if group is not None:
        return group
    declared = get_session().key_values.get(group_name.encode(), _DECLARED)
    facts = {"places": {}} if declared is None else json.loads(declared)
    rank = facts["places"].get(get_runtime_context().get_actor_id())
    if rank is None:
        raise RuntimeError(
            f"This process is no member of the group {group_name!r}: call init_collective_group() first."
        )
    init_collective_group(len(facts["places"]), rank, facts["backend"], group_name, facts["timeout_ms"])
    return _groups[group_name]


def barrier(group_name: str = "default") -> None:
    """Wait until all members have come here."""
    get_group_handle(group_name).barrier()


def allreduce(tensor: Any, group_name: str = "default", op: ReduceOp = ReduceOp.SUM) -> None:
    """Reduce everybody's tensor into everybody's.

    Args:
        tensor: Of torch, NumPy or CuPy; the same shape and type everywhere. A read-only array from the store is changed
            as well: in this process alone, not in the store.
        group_name: The group.
        op: How.

    Raises:
        RuntimeError: This process is no member, or another one has gone.
        TypeError: Neither a tensor nor an array.
    """
    get_group_handle(group_name).allreduce(tensor, op)


def reduce(tensor: Any, dst_rank: int = 0, group_name: str = "default", op: ReduceOp = ReduceOp.SUM) -> None:
    """Reduce everybody's tensor into that of one member; the others' stay as they are.

    Args:
        tensor: Of torch, NumPy or CuPy; the same shape and type everywhere.
        dst_rank: That member.
        group_name: The group.
        op: How.

    Raises:
        RuntimeError: This process is no member, or another one has gone.
        ValueError: There is no such member.
    """
    _member(group_name, dst_rank).reduce(tensor, dst_rank, op)


def broadcast(tensor: Any, src_rank: int = 0, group_name: str = "default") -> None:
    """Copy one member's tensor into everybody's.

    Args:
        tensor: Of torch, NumPy or CuPy; the same shape and type everywhere.
        src_rank: That member.
        group_name: The group.

    Raises:
        RuntimeError: This process is no member, or another one has gone.
        ValueError: There is no such member.
    """
    _member(group_name, src_rank).broadcast(tensor, src_rank)


def allgather(tensor_list: list[Any], tensor: Any, group_name: str = "default") -> None:
    """Copy everybody's tensor into a list.

    Args:
        tensor_list: A tensor for each member, of the shape of ``tensor``; filled in the order of ranks.
        tensor: This process's.
        group_name: The group.

    Raises:
        RuntimeError: This process is no member, another one has gone, or the list has another length.
    """
    _sized(group_name, tensor_list).allgather(tensor_list, tensor)


def reducescatter(
    tensor: Any, tensor_list: list[Any], group_name: str = "default", op: ReduceOp = ReduceOp.SUM
) -> None:
    """Reduce everybody's lists, item by item, and give each member the item of its rank.

    Args:
        tensor: Where this process's item goes.
        tensor_list: A tensor for each member.
        group_name: The group.
        op: How.

    Raises:
        RuntimeError: This process is no member, another one has gone, or the list has another length.
    """
    _sized(group_name, tensor_list).reducescatter(tensor, tensor_list, op)


def send(tensor: Any, dst_rank: int, group_name: str = "default") -> None:
    """Send a tensor to a member, which calls `recv`.

    Args:
        tensor: Of torch, NumPy or CuPy.
        dst_rank: That member.
        group_name: The group.

    Raises:
        RuntimeError: This process is no member, or is the one it would send to.
        ValueError: There is no such member.
    """
    _other(group_name, dst_rank).send(tensor, dst_rank)


def recv(tensor: Any, src_rank: int, group_name: str = "default") -> None:
    """Receive a tensor that a member sends.

    Args:
        tensor: Where it goes; of the same shape and type.
        src_rank: That member.
        group_name: The group.

    Raises:
        RuntimeError: This process is no member, or is the one it would receive from.
        ValueError: There is no such member.
    """
    _other(group_name, src_rank).recv(tensor, src_rank)


def _member(group_name: str, rank: int) -> CollectiveGroup:
    group = get_group_handle(group_name)
    if not 0 <= rank < group.world_size:
        raise ValueError(f"The group {group_name!r} has the ranks from 0 to {group.world_size - 1}, and not {rank}.")
    return group


def _other(group_name: str, rank: int) -> CollectiveGroup:
    group = _member(group_name, rank)
    if rank == group.rank:
        raise RuntimeError(f"The rank {rank} is this process itself.")
    return group


def _sized(group_name: str, tensors: list[Any]) -> CollectiveGroup:
    group = get_group_handle(group_name)
    if len(tensors) != group.world_size:
        raise RuntimeError(f"The list has {len(tensors)} tensors, and the group {group.world_size} members.")
    return group
