"""Requests of agents, which join the node to a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async.runtime.node.requests.messages import Answers, Message, Notices

if TYPE_CHECKING:
    from ray_async.runtime.node.cluster_link import ClusterLink
    from ray_async.transport.server import Peer

__all__ = ("ClusterRequests",)


class ClusterRequests:
    """Answers about the cluster that the node may be joined to.

    Args:
        link: makes the link to the other nodes, of which a node of one machine needs nothing.
        add: takes the operations of the link, which the node knows from then on.
    """

    def __init__(self, link: Callable[[], ClusterLink], add: Callable[[Answers, Notices], None]) -> None:
        self._make_link = link
        self._add = add
        self._link: ClusterLink | None = None
        self.answers: Answers = {"agent_join": self._join}

    def _join(self, peer: Peer, message: Message) -> Message:
        if self._link is None:
            self._link = self._make_link()
            self._add(self._link.answers, self._link.notices)
        return self._link.join(peer, int(message["slot"]))
