"""Other nodes of a cluster, as the parts of a node see them: places for work that finds no room here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray_async._core.object_ref import ObjectRef
    from ray_async.runtime.node.other_groups import OtherGroups
    from ray_async.runtime.node.requests.messages import Answer, Message
    from ray_async.spec.actor_description import ActorDescription
    from ray_async.spec.class_description import ClassDescription
    from ray_async.transport.server import Peer

__all__ = ("NodeMembership", "OtherNodes")


class OtherNodes:
    """The other nodes of a node that is alone: there are none. The link to a cluster's nodes overrides all of this."""

    @property
    def is_joined(self) -> bool:
        """Whether there may be other nodes to send work to."""
        return False

    @property
    def groups(self) -> OtherGroups | None:
        """Placement groups as all nodes know them; None where there is but this node."""
        return None

    def may_run(self, description: ClassDescription | ActorDescription) -> bool:
        """Whether tasks of a class, or an actor, may find a place on another node."""
        return False

    def offer_soon(self) -> None:
        """Work may have found no room: offer it, once this node's workers have taken what they can."""

    def job_ended(self, job: int) -> None:
        """A driver is gone: what other nodes run of its job is over."""

    def cancel(self, record: int, force: bool) -> bool:
        """Have a record cancelled that runs on another node; whether it does."""
        return False

    def is_elsewhere(self, ref: ObjectRef[Any]) -> bool:
        """Whether an object is there, and its value lies on another node."""
        return False

    def wanted(self, entry: int, number: int, unreferenced: bool) -> bool:
        """An object that is not in memory is wanted, or not any more; whether its value lies on another node."""
        return False

    def is_actor_elsewhere(self, offset: int) -> bool | None:
        """Whether an actor lives on another node; None when that is not decided yet."""
        return False

    def kill(self, offset: int, no_restart: bool) -> bool:
        """Have an actor of another node ended, for which one stands here; whether it is such a one."""
        return False

    def take_name(self, offset: int, name: str, namespace: str) -> Answer:
        """Take a name that is free on this node for an actor of it in the whole cluster."""
        return {"taken": False}

    def find_actor(self, name: str, namespace: str, hold: Callable[[int, str], Message]) -> Answer:
        """Find a named actor of another node; what stands for it here is given to ``hold``."""
        return {}

    def named_actors(self, namespace: str | None) -> Answer | None:
        """Names of all nodes' actors, in a namespace or in all; None where there are but this node's."""
        return None

    def name_freed(self, offset: int, name: str, namespace: str) -> None:
        """An actor of this node has lost its name."""

    def key_value(self, op: str, message: Message) -> Answer | None:
        """The answer to a request about keys and values; None where they are kept here."""
        return None

    def rows(self) -> list[dict[str, Any]]:
        """Rows of the other nodes."""
        return []

    def total(self) -> list[dict[str, float]]:
        """Resources of each living node beside this one."""
        return []

    def free(self, node_id: str | None) -> list[dict[str, float]]:
        """Resources that each of the others has left, or the one with an id."""
        return []

    def peer_lost(self, peer: Peer) -> None:
        """A process has closed its connection; it may have been the one that joins the node to the others."""


class NodeMembership:
    """The cluster of a node, which an agent may join to others at any time.

    Attributes:
        others: the other nodes, as they are now.
    """

    __slots__ = ("others",)

    def __init__(self) -> None:
        self.others = OtherNodes()

    def job_ended(self, job: int) -> None:
        """A driver is gone: what other nodes run of its job is over."""
        self.others.job_ended(job)
