"""Requests by which processes come to the session, take part in it, and leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async.runtime.node.cancels import Cancels
from ray_async.runtime.node.drivers import Drivers
from ray_async.runtime.node.listeners import Listeners
from ray_async.runtime.node.requests.messages import Answers, Message, Notices
from ray_async.runtime.node.workers import Workers

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("SessionRequests",)


class SessionRequests:
    """Answers to drivers and workers about themselves.

    Args:
        drivers, workers: those that there are.
        listeners: drivers that want output.
        cancels: scopes that are cancelled.
        fail_environment: called with the key of an environment that cannot be made, and the reason.
    """

    def __init__(
        self,
        drivers: Drivers,
        workers: Workers,
        listeners: Listeners,
        cancels: Cancels,
        fail_environment: Callable[[str, str], None],
    ) -> None:
        self._drivers = drivers
        self.answers: Answers = {
            "attach": lambda peer, m: dict(drivers.attach(peer, m)),
            "leave": lambda peer, m: {"pids": drivers.left(int(m["slot"]))},
            "lease_accelerators": lambda peer, m: {"accelerators": workers.accelerators_of(int(m["slot"]))},
        }
        self.notices: Notices = {
            "hello": self._hello,
            "listen": lambda peer, m: listeners.add(peer, int(m["job"])),
            "cancel_scope": lambda peer, m: cancels.scope(int(m["scope"])),
            "environment_failed": lambda peer, m: fail_environment(str(m["env_key"]), str(m["reason"])),
            "shutdown": self._shutdown,
        }

    def _hello(self, peer: Peer, message: Message) -> None:
        peer.notes["slot"] = int(message["slot"])
        peer.notes["pid"] = int(message["pid"])

    def _shutdown(self, peer: Peer, message: Message) -> None:
        self._drivers.left(int(message["slot"]))
