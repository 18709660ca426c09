"""Placement groups in a cluster: the node's part in those whose bundles lie on several machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async.runtime.node.cluster_questions import ClusterQuestions
from ray_async.runtime.scheduler.placement_groups import GroupStrategy

if TYPE_CHECKING:
    from ray_async.runtime.node.groups import Groups
    from ray_async.runtime.node.requests.messages import Answers, Message, Notices
    from ray_async.transport.server import Peer

__all__ = ("ClusterGroups",)

_SPREADS = (GroupStrategy.SPREAD, GroupStrategy.STRICT_SPREAD)


class ClusterGroups:
    """Messages between the agent and the node about placement groups.

    Args:
        groups: the node's own, and its shares of others.
        questions: to the rest of the cluster.
        notify: sends the agent a message.
        offer: has what finds no room offered to other nodes.
        n_others: how many other nodes live.
    """

    def __init__(
        self,
        groups: Groups,
        questions: ClusterQuestions,
        notify: Callable[..., None],
        offer: Callable[[], None],
        n_others: Callable[[], int],
    ) -> None:
        self._groups = groups
        self._questions = questions
        self._notify = notify
        self._offer = offer
        self._n_others = n_others
        self.answers: Answers = {
            "pg_elsewhere": self._set_elsewhere,
            "pg_reserve": self._reserve,
            "pg_wait": self._wait,
        }
        self.notices: Notices = {"pg_drop": lambda peer, m: groups.drop(str(m["group"]))}

    def decides(self, strategy: GroupStrategy) -> bool:
        """Whether the cluster places a new group of this kind, and this node reserves nothing before."""
        return strategy in _SPREADS and self._n_others() > 0

    def made(self, group: str, name: str, namespace: str) -> None:
        """A group was made here: other nodes may ask for it, and have bundles of it where there is no room here."""
        self._notify("group_made", group=group, name=name, namespace=namespace, is_there=True)
        self._offer()

    def removed(self, group: str) -> None:
        """A group of this node was removed."""
        self._notify("group_made", group=group, name="", namespace="", is_there=False)

    def _set_elsewhere(self, peer: Peer, message: Message) -> Message:
        nodes = {int(index): str(node) for index, node in message["nodes"]}
        return {"value": self._groups.set_elsewhere(str(message["group"]), nodes)}

    def _reserve(self, peer: Peer, message: Message) -> Message:
        nodes = {int(index): str(node) for index, node in message["nodes"]}
        bundles = [dict(bundle) for bundle in message["bundles"]]
        return {"value": self._groups.reserve(str(message["group"]), str(message["name"]), bundles, nodes)}

    async def _wait(self, peer: Peer, message: Message) -> Message:
        return {"value": await self._groups.settled(str(message["group"]))}

    # -- groups of other nodes, for processes of this one --------------------------------------------------------------

    async def find(self, group: str, name: str = "", namespace: str = "") -> dict[str, Any] | None:
        """The row of another node's group, by its id or its name; None where there is none."""
        try:
            found = await self._questions.pose("find_group", group=group, name=name, namespace=namespace)
        except ConnectionError:
            return None
        return found.get("row")

    async def remove(self, group: str) -> Message:
        """Remove another node's group."""
        await self._questions.pose("remove_group", group=group)
        return {"value": None}

    async def ready(self, group: str) -> bool:
        """Wait until another node's group is ready; False once it is removed."""
        try:
            return bool((await self._questions.pose("group_settled", group=group))["is_there"])
        except ConnectionError:
            return False
