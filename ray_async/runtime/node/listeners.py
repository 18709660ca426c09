"""The drivers that listen to their workers' output and to the node's warnings."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from ray_async.transport.server import Peer

__all__ = ("Listeners",)

_logger = logging.getLogger("ray_async.node")
_MAX_BACKLOG = 8 << 20
_MAX_EARLY = 1000
_FLUSH_S = 2.0

Message = dict[str, Any]


class Listeners:
    """Passes output on to the drivers whose it is; one that does not read loses lines, not the node memory."""

    def __init__(self) -> None:
        self._jobs: dict[Peer, int] = {}
        self._dropped: dict[Peer, int] = {}  # lines, of which the driver does not know yet
        self._early: deque[Message] = deque(maxlen=_MAX_EARLY)
        #: Passes on what is for a driver of another node; whether it was that.
        self.relay: Callable[[Message], bool] = lambda message: False

    def add(self, peer: Peer, job: int) -> None:
        """A driver listens from now on, and gets what its workers have written already."""
        peer.notes["job"] = job
        self._jobs[peer] = job
        early, self._early = self._early, deque(maxlen=_MAX_EARLY)
        for message in early:
            self.broadcast(message)

    def discard(self, peer: Peer) -> None:
        """A connection is gone."""
        self._jobs.pop(peer, None)
        self._dropped.pop(peer, None)

    def broadcast(self, message: Message) -> None:
        """Send output to the drivers whose it is."""
        if self.relay(message):
            return
        delivered = False
        for peer, job in self._jobs.items():
            if message.get("job") in (None, f"{job:08x}"):
                delivered = True
                self._pass_on(peer, message)
        if not delivered:
            # A worker may print before its driver listens: they start at the same time.
            self._early.append(message)

    def _pass_on(self, peer: Peer, message: Message) -> None:
        if peer.backlog() > _MAX_BACKLOG:
            self._dropped[peer] = self._dropped.get(peer, 0) + len(message.get("lines", ()))
            return
        self._report_dropped(peer)
        peer.send(message)

    def _report_dropped(self, peer: Peer) -> None:
        """Once it reads again, say in a line what a driver has missed."""
        count = self._dropped.pop(peer, 0)
        if count:
            text = f"{count} lines of workers' output were dropped here: they came faster than this driver read them"
            peer.send({"kind": "warning", "text": text})

    def end(self, job: int) -> None:
        """Send a driver that leaves the end of its workers' output."""
        for peer, listened in self._jobs.items():
            if listened == job:
                self._report_dropped(peer)
                peer.send({"kind": "end"})

    async def flush(self) -> None:
        """Wait until the drivers have taken what was sent, for as long as a living one may need."""
        for peer in self._jobs:
            self._report_dropped(peer)
        deadline = asyncio.get_running_loop().time() + _FLUSH_S
        await asyncio.sleep(0)
        while any(peer.backlog() for peer in self._jobs) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)

    def report_survived(self, job: int, text: str) -> None:
        """Show a line about deaths that were survived on the terminal of a job's driver, and log it."""
        _logger.warning("%s", text)
        self.broadcast({"kind": "survived", "job": f"{job:08x}", "text": text})

    def warn(self, text: str) -> None:
        """Show a warning on all drivers' terminals; on the first one's that listens, if none does yet."""
        _logger.warning("%s", text)
        message = {"kind": "warning", "text": text}
        for peer in self._jobs:
            peer.send(message)
        if not self._jobs:
            self._early.append(message)
