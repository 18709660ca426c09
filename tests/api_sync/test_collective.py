"""Collective operations. Torch is too large for the suite to install: those by it run where torch is."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.exceptions import RayTaskError
from ray_async.util import collective
from ray_async.util.collective import Backend, CollectiveGroup, ReduceOp

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")


@ray.remote(num_cpus=0)
class Member:
    """Does what it is told with its tensor."""

    def join(self, size: int, rank: int, name: str = "default", timeout_ms: int = 30000) -> int:
        collective.init_collective_group(size, rank, "gloo", name, timeout_ms)
        return collective.get_rank(name)

    def do(self, operation: str, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        getattr(collective, operation)(tensor, *args, **kwargs)
        return tensor

    def do_with_list(self, operation: str, tensor: Any, tensors: list[Any]) -> Any:
        if operation == "allgather":
            collective.allgather(tensors, tensor)
            return tensors
        collective.reducescatter(tensor, tensors)
        return tensor

    def leave(self, name: str = "default") -> tuple[bool, int, int]:
        collective.destroy_collective_group(name)
        return (
            collective.is_group_initialized(name),
            collective.get_rank(name),
            collective.get_collective_group_size(name),
        )

    def pid(self) -> int:
        return os.getpid()


def joined(size: int = 2, name: str = "default", **options: Any) -> list[Any]:
    """Actors that are a group."""
    members = [Member.remote() for _ in range(size)]
    refs = [member.join.remote(size, rank, name, **options) for rank, member in enumerate(members)]
    assert ray.get(refs) == list(range(size))
    return members


def each(members: Sequence[Any], operation: str, *args: Any, size: int = 4, **kwargs: Any) -> list[float]:
    """The first items of all tensors, of which each was full of its member's rank and one, after an operation."""
    tensors = [np.full(size, rank + 1, dtype=np.float32) for rank in range(len(members))]
    refs = [m.do.remote(operation, t, *args, **kwargs) for m, t in zip(members, tensors, strict=True)]
    results = ray.get(refs)
    assert all((result == result[0]).all() for result in results)
    return [float(result[0]) for result in results]


@needs_torch
@pytest.mark.parametrize("size", [4, 1 << 20])  # a copy, and a read-only view of the store
def test_reductions(session: Any, size: int) -> None:
    members = joined(3)
    assert each(members, "allreduce", size=size) == [6, 6, 6]
    assert each(members, "allreduce", op=ReduceOp.PRODUCT, size=size) == [6, 6, 6]
    assert each(members, "allreduce", op=ReduceOp.MIN, size=size) == [1, 1, 1]
    assert each(members, "allreduce", op=ReduceOp.MAX, size=size) == [3, 3, 3]
    assert each(members, "reduce", 1, size=size) == [1, 6, 3]
    assert each(members, "broadcast", 2, size=size) == [3, 3, 3]


@needs_torch
def test_what_lies_in_the_store_does_not_change(session: Any) -> None:
    members = joined()
    stored = ray.put(np.ones(1 << 20, dtype=np.float32))
    results = ray.get([member.do.remote("allreduce", stored) for member in members])
    assert [float(result.max()) for result in results] == [2, 2]
    assert float(ray.get(stored).max()) == 1


@needs_torch
def test_lists_of_tensors(session: Any) -> None:
    members = joined()
    mine = [np.full(3, rank + 1.0) for rank in range(2)]
    room = [np.zeros(3), np.zeros(3)]
    gathered = ray.get([m.do_with_list.remote("allgather", t, room) for m, t in zip(members, mine, strict=True)])
    assert [[float(t[0]) for t in each_one] for each_one in gathered] == [[1, 2], [1, 2]]
    given = [np.full(3, 1.0), np.full(3, 10.0)]
    scattered = ray.get([member.do_with_list.remote("reducescatter", np.zeros(3), given) for member in members])
    assert [float(t[0]) for t in scattered] == [2, 20]
    with pytest.raises(RuntimeError, match="3 tensors"):
        ray.get(members[0].do_with_list.remote("allgather", mine[0], [*room, room[0]]))


@needs_torch
def test_one_sends_and_one_receives(session: Any) -> None:
    first, second = joined()
    sent = first.do.remote("send", np.arange(3.0), 1)
    assert list(ray.get(second.do.remote("recv", np.zeros(3), 0))) == [0, 1, 2]
    ray.get(sent)
    with pytest.raises(RuntimeError, match="itself"):
        ray.get(first.do.remote("send", np.zeros(3), 0))


@needs_torch
def test_tensors_and_arrays_that_are_not_contiguous(session: Any) -> None:
    import torch

    first, second = joined(name="a name? yes!")
    refs = [
        first.do.remote("allreduce", torch.ones(2, 3, dtype=torch.float64).t(), "a name? yes!"),
        second.do.remote("allreduce", np.ones((2, 3)).T, "a name? yes!"),
    ]
    assert [bool((result == 2).all()) for result in ray.get(refs)] == [True, True]


@needs_torch
def test_a_group_that_is_left_can_be_made_again(session: Any) -> None:
    members = joined()
    with pytest.raises(RuntimeError, match="already"):
        ray.get(members[0].join.remote(2, 0))
    assert ray.get([member.leave.remote() for member in members]) == [(False, -1, -1)] * 2
    with pytest.raises(RuntimeError, match="no member"):
        each(members, "allreduce")
    ray.get([member.join.remote(2, 1 - rank) for rank, member in enumerate(members)])
    assert each(members, "broadcast", 0) == [2, 2]


@needs_torch
def test_a_declared_group(session: Any) -> None:
    members = [Member.remote(), Member.remote()]
    collective.create_collective_group(members, 2, [1, 0], "gloo", "declared")
    with pytest.raises(RuntimeError, match="declared already"):
        collective.create_collective_group(members, 2, [1, 0], "gloo", "declared")
    assert each(members, "broadcast", 0, "declared") == [2, 2]
    collective.destroy_collective_group("declared")


@needs_torch
def test_a_member_that_dies_fails_the_others(session: Any) -> None:
    members = joined()
    os.kill(ray.get(members[1].pid.remote()), signal.SIGKILL)
    with pytest.raises(RayTaskError):
        ray.get(members[0].do.remote("allreduce", np.ones(3)))


@needs_torch
def test_a_member_that_does_not_come(session: Any) -> None:
    with pytest.raises(TimeoutError, match="has not come"):
        ray.get(Member.remote().join.remote(2, 1, timeout_ms=50))


@needs_torch
def test_members_and_tensors_that_there_are_not(session: Any) -> None:
    members = joined()
    with pytest.raises(ValueError, match="ranks from 0 to 1"):
        ray.get(members[0].do.remote("broadcast", np.ones(1), 2))
    with pytest.raises(TypeError, match="not str"):
        ray.get(members[0].do.remote("allreduce", "text"))


def test_names_of_backends() -> None:
    assert [Backend("gloo"), Backend("torch_gloo"), Backend("NCCL")] == ["GLOO", "GLOO", "NCCL"]
    with pytest.raises(ValueError, match="Unrecognized backend: 'mpi'"):
        Backend("mpi")
    assert collective.gloo_available() is (importlib.util.find_spec("torch") is not None)


class Alone(CollectiveGroup):
    """A group of one."""

    @classmethod
    def is_available(cls) -> bool:
        return True

    def destroy(self) -> None:
        self.world_size = 0

    def barrier(self) -> None:
        pass

    def allreduce(self, tensor: Any, op: ReduceOp) -> None:
        tensor.append(op)

    def reduce(self, tensor: Any, dst_rank: int, op: ReduceOp) -> None:
        tensor.append(dst_rank)

    def broadcast(self, tensor: Any, src_rank: int) -> None:
        tensor.append(src_rank)

    def allgather(self, tensors: Sequence[Any], tensor: Any) -> None:
        tensor.append(len(tensors))

    def reducescatter(self, tensor: Any, tensors: Sequence[Any], op: ReduceOp) -> None:
        tensor.append(len(tensors))

    def send(self, tensor: Any, dst_rank: int) -> None:
        raise AssertionError("there is nobody to send to")

    def recv(self, tensor: Any, src_rank: int) -> None:
        raise AssertionError("there is nobody to receive from")


def test_a_backend_of_ones_own(session: Any) -> None:
    collective.register_collective_backend("alone", Alone)
    collective.register_collective_backend("ALONE", Alone)
    with pytest.raises(ValueError, match="already"):
        collective.register_collective_backend("gloo", Alone)
    with pytest.raises(TypeError, match="CollectiveGroup"):
        collective.register_collective_backend("other", dict)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rank"):
        collective.init_collective_group(1, 1, "alone", "mine")
    collective.init_collective_group(1, 0, "alone", "mine", 10)
    tensor: list[Any] = []
    collective.allreduce(tensor, "mine")
    collective.reduce(tensor, 0, "mine")
    collective.broadcast(tensor, 0, "mine")
    collective.barrier("mine")
    assert tensor == [ReduceOp.SUM, 0, 0]
    assert (collective.get_rank("mine"), collective.get_collective_group_size("mine")) == (0, 1)
    collective.destroy_collective_group("mine")
    assert not collective.is_group_initialized("mine")
    with pytest.raises(RuntimeError, match="no member"):
        collective.barrier("mine")
