"""Requests by which processes come to the session, take part in it, and leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.node.requests.messages import Answers, Message, Notices

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node
    from ray_async.transport.server import Peer

__all__ = ("SessionRequests",)


class SessionRequests:
    """Answers to drivers and workers about themselves.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.answers: Answers = {
            "attach": lambda peer, m: dict(node.drivers.attach(peer, m)),
            "leave": lambda peer, m: {"pids": node.drivers.left(int(m["slot"]))},
            "lease_accelerators": lambda peer, m: {"accelerators": node.workers.accelerators_of(int(m["slot"]))},
        }
        self.notices: Notices = {
            "hello": self._hello,
            "listen": lambda peer, m: node.listeners.add(peer, int(m["job"])),
            "cancel_scope": lambda peer, m: node.cancels.scope(int(m["scope"])),
            "environment_failed": lambda peer, m: node.fail_environment(str(m["env_key"]), str(m["reason"])),
            "shutdown": self._shutdown,
        }

    def _hello(self, peer: Peer, message: Message) -> None:
        peer.notes["slot"] = int(message["slot"])
        peer.notes["pid"] = int(message["pid"])

    def _shutdown(self, peer: Peer, message: Message) -> None:
        self._node.drivers.left(int(message["slot"]))
