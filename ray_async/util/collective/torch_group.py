"""Groups by torch's process groups: Gloo for memory, NCCL for GPUs. ``torch.distributed``'s own group is another one.

NumPy and CuPy arrays are taken as tensors of the same memory.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ray_async.util.collective.group import CollectiveGroup
from ray_async.util.collective.rendezvous import meet
from ray_async.util.collective.types import ReduceOp

__all__ = ("GlooGroup", "NcclGroup")


class _Writable:
    """The memory of an array, without its mark that says that it must not be written to.

    Arrays from the store have that mark, and are this process's own image of what is stored.
    """

    def __init__(self, array: Any) -> None:
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def as_tensor(value: Any) -> torch.Tensor:
    """A tensor with the memory of a tensor or an array.

    Raises:
        TypeError: Anything else.
    """
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if value.flags.writeable else np.asarray(_Writable(value)))
    if hasattr(value, "__dlpack__"):
        found: torch.Tensor = torch.from_dlpack(value)
        return found
    raise TypeError(f"Collectives take tensors of torch and arrays of NumPy and CuPy, not {type(value).__name__}.")


class _TorchGroup(CollectiveGroup):
    """Does what both backends do alike."""

    def __init__(self, world_size: int, rank: int, group_name: str, timeout_ms: int) -> None:
        super().__init__(world_size, rank, group_name, timeout_ms)
        with meet(group_name, world_size, rank, timeout_ms / 1000) as (self._store, address):
            self._group: Any = self._make(dist.PrefixStore(group_name, self._store), address)
            self.barrier()  # all have come, before the address is forgotten

    @abstractmethod
    def _make(self, store: Any, address: str) -> Any:
        """torch's process group."""

    def destroy(self) -> None:
        self._group = self._store = None

    def barrier(self) -> None:
        self._group.barrier().wait()

    def allreduce(self, tensor: Any, op: ReduceOp) -> None:
        options = dist.AllreduceOptions()
        options.reduceOp = _op(op)
        with _InPlace([tensor]) as tensors:
            self._group.allreduce(tensors, options).wait()

    def reduce(self, tensor: Any, dst_rank: int, op: ReduceOp) -> None:
        options = dist.ReduceOptions()
        options.reduceOp, options.rootRank = _op(op), dst_rank
        target = as_tensor(tensor)
        # the others' tensors are room for what comes in between, and are not to change
        tensors = [target.contiguous() if self.rank == dst_rank else target.clone().contiguous()]
        self._group.reduce(tensors, options).wait()
        if self.rank == dst_rank:
            target.copy_(tensors[0])

    def broadcast(self, tensor: Any, src_rank: int) -> None:
        options = dist.BroadcastOptions()
        options.rootRank = src_rank
        with _InPlace([tensor]) as tensors:
            self._group.broadcast(tensors, options).wait()

    def allgather(self, tensors: Sequence[Any], tensor: Any) -> None:
        with _InPlace(tensors) as gathered:
            self._group.allgather([gathered], [as_tensor(tensor).contiguous()]).wait()

    def reducescatter(self, tensor: Any, tensors: Sequence[Any], op: ReduceOp) -> None:
        options = dist.ReduceScatterOptions()
        options.reduceOp = _op(op)
        with _InPlace([tensor]) as scattered:
            given = [as_tensor(each).contiguous() for each in tensors]
            self._group.reduce_scatter(scattered, [given], options).wait()

    def send(self, tensor: Any, dst_rank: int) -> None:
        self._group.send([as_tensor(tensor).contiguous()], dst_rank, 0).wait()

    def recv(self, tensor: Any, src_rank: int) -> None:
        with _InPlace([tensor]) as tensors:
            self._group.recv(tensors, src_rank, 0).wait()


class _InPlace:
    """Tensors with the memory of others, or contiguous copies that are written back at the end."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._targets = [as_tensor(value) for value in values]
        self._tensors = [target.contiguous() for target in self._targets]

    def __enter__(self) -> list[torch.Tensor]:
        return self._tensors

    def __exit__(self, kind: object, error: object, where: object) -> None:
        for target, tensor in zip(self._targets, self._tensors, strict=True):
            if kind is None and target.data_ptr() != tensor.data_ptr():
                target.copy_(tensor)


class GlooGroup(_TorchGroup):
    """A group whose tensors lie in memory."""

    @classmethod
    def is_available(cls) -> bool:
        return bool(dist.is_available() and dist.is_gloo_available())

    def _make(self, store: Any, address: str) -> Any:
        options = dist.ProcessGroupGloo._Options()
        options._timeout = timedelta(milliseconds=self.timeout_ms)
        options._devices = [dist.ProcessGroupGloo.create_device(hostname=address)]
        return dist.ProcessGroupGloo(store, self.rank, self.world_size, options)


class NcclGroup(_TorchGroup):
    """A group whose tensors lie on GPUs, one of each process's own."""

    @classmethod
    def is_available(cls) -> bool:
        return bool(dist.is_available() and dist.is_nccl_available() and torch.cuda.is_available())

    def _make(self, store: Any, address: str) -> Any:
        options = dist.ProcessGroupNCCL.Options()
        options._timeout = timedelta(milliseconds=self.timeout_ms)
        return dist.ProcessGroupNCCL(store, self.rank, self.world_size, options)


def _op(op: ReduceOp) -> Any:
    return getattr(dist.ReduceOp, op.name)
