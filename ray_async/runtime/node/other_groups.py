"""Placement groups as all nodes of a cluster know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ray_async.runtime.scheduler.placement_groups import GroupStrategy

if TYPE_CHECKING:
    from ray_async.runtime.node.requests.messages import Message

__all__ = ("OtherGroups",)


class OtherGroups(Protocol):
    """Groups of other nodes, and what they learn of this one's."""

    def decides(self, strategy: GroupStrategy) -> bool:
        """Whether the cluster places a new group of this kind, and this node reserves nothing before."""
        ...

    def made(self, group: str, name: str, namespace: str) -> None:
        """A group was made here: other nodes may ask for it, and have bundles of it where there is no room here."""
        ...

    def removed(self, group: str) -> None:
        """A group of this node was removed."""
        ...

    async def find(self, group: str, name: str = "", namespace: str = "") -> dict[str, Any] | None:
        """The row of another node's group, by its id or its name; None where there is none."""
        ...

    async def remove(self, group: str) -> Message:
        """Remove another node's group."""
        ...

    async def ready(self, group: str) -> bool:
        """Wait until another node's group is ready; False once it is removed."""
        ...
