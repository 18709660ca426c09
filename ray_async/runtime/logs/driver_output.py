"""Workers' output and the node's warnings, printed by a thread of the driver."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from ray_async.runtime.logs.prefix import Prefixer
from ray_async.runtime.logs.progress import Bars
from ray_async.runtime.logs.sink import LogSink
from ray_async.transport.frames import FrameError, FrameReader, pack

__all__ = ("Output",)

_logger = logging.getLogger("ray_async")
_TICK_S = 0.25
_DEATH_S = 1.0  # from the end of a node's output to its own


class Output:
    """Reads the node's output messages and prints them.

    Args:
        sock: connected to the node.
        job: whose output is wanted.
        enabled: whether workers' lines, and those about deaths that were survived, are shown; warnings always are.
        ip: this machine's address, which prefixes leave out.
        plain: whether there are no prefixes at all.
    """

    def __init__(self, sock: socket.socket, job: int, enabled: bool, ip: str, plain: bool = False) -> None:
        self._socket = sock
        self._reader = FrameReader()
        self._enabled = enabled
        prefixer = Prefixer(enabled=False) if plain else None
        self._sink = LogSink(log_to_driver=enabled, prefixer=prefixer, bars=Bars(), own_ip=ip)
        self._thread = threading.Thread(target=self._run, name="ray::output", daemon=True)
        with contextlib.suppress(OSError):
            sock.sendall(pack({"op": "listen", "job": job}))

    def start(self, node_fd: int = -1, on_node_death: Callable[[], None] | None = None) -> None:
        """Begin to print.

        Args:
            node_fd: readable once the node is gone; -1 for none.
            on_node_death: called then, from the thread.
        """
        self._node_fd = node_fd
        self._stopping = False
        self._on_node_death = on_node_death
        self._thread.start()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if self._node_fd >= 0:
            poll.register(self._node_fd, select.POLLIN)
        while True:
            # Only while lines are held back is there anything to do without a message.
            ready = {fd for fd, _ in poll.poll(_TICK_S * 1000 if self._sink.holds_back else None)}
            if self._node_fd in ready:
                poll.unregister(self._node_fd)
                self._report_death()
            if ready and self._socket.fileno() not in ready:
                continue
            if not ready:
                self._sink.tick()
                continue
            try:
                data = self._socket.recv(1 << 16)
                messages = self._reader.feed(data)
            except (OSError, FrameError):
                data, messages = b"", []
            if not data:
                self._sink.close()
                # A process that ends closes its sockets first.
                if self._node_fd >= 0 and not self._stopping and _becomes_readable(self._node_fd):
                    self._report_death()
                return
            for message in messages:
                if message.get("kind") == "end":
                    self._sink.close()
                    return
                self._show(message)

    def _report_death(self) -> None:
        if self._on_node_death is not None:
            self._on_node_death()

    def _show(self, message: dict[str, Any]) -> None:
        if message.get("kind") == "warning":
            _logger.warning("%s", message["text"])
        elif message.get("kind") == "survived":
            if self._enabled:
                _logger.warning("%s", message["text"])
        elif message.get("kind") == "log":
            self._sink.handle(message)

    def stop(self) -> None:
        """Print what has come, and end the thread."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2)
        self._stopping = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=2)
        self._socket.close()


def _becomes_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_DEATH_S * 1000))
