"""Groups: what a backend has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from ray_async.util.collective.types import ReduceOp

__all__ = ("CollectiveGroup",)


class CollectiveGroup(ABC):
    """A process's membership in a group; made once in each process, all at about the same time.

    Args:
        world_size: How many processes the group has.
        rank: Which of them this one is, from 0.
        group_name: The group's name.
        timeout_ms: Milliseconds that its members wait for each other.
    """

    def __init__(self, world_size: int, rank: int, group_name: str, timeout_ms: int) -> None:
        self.world_size = world_size
        self.rank = rank
        self.group_name = group_name
        self.timeout_ms = timeout_ms

    @classmethod
    @abstractmethod
    def is_available(cls) -> bool:
        """Whether groups of this kind can be made in this process."""

    @abstractmethod
    def destroy(self) -> None:
        """Leave the group."""

    @abstractmethod
    def barrier(self) -> None:
        """Wait until all members have come here."""

    @abstractmethod
    def allreduce(self, tensor: Any, op: ReduceOp) -> None:
        """Reduce everybody's tensor into everybody's."""

    @abstractmethod
    def reduce(self, tensor: Any, dst_rank: int, op: ReduceOp) -> None:
        """Reduce everybody's tensor into that of one member."""

    @abstractmethod
    def broadcast(self, tensor: Any, src_rank: int) -> None:
        """Copy one member's tensor into everybody's."""

    @abstractmethod
    def allgather(self, tensors: Sequence[Any], tensor: Any) -> None:
        """Copy everybody's tensor into a tensor for each member, in the order of ranks."""

    @abstractmethod
    def reducescatter(self, tensor: Any, tensors: Sequence[Any], op: ReduceOp) -> None:
        """Reduce everybody's tensors, one for each member, into that member's tensor."""

    @abstractmethod
    def send(self, tensor: Any, dst_rank: int) -> None:
        """Send a tensor to one member, which receives it."""

    @abstractmethod
    def recv(self, tensor: Any, src_rank: int) -> None:
        """Receive a tensor that one member sends, into this one."""
