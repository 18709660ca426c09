"""Ending a node that has not begun: a driver that is done already does not wait for all that the node imports first.

The driver asks by a signal, and removes the session's files itself. Before there is a handler, and anything else, the
signal ends the process; once the node has its event loop it does nothing: then the driver's message over the socket is
read soon enough.
"""

from __future__ import annotations

import array
import os
import select
import signal
import socket
from typing import Any

from ray_async.runtime.node.death import descendants

__all__ = ("END_EARLY", "allow_early_end", "forbid_early_end", "forget_early_end")

END_EARLY = signal.SIGUSR1


def allow_early_end(zygote: socket.socket, n_workers: int) -> None:
    """From now on the signal ends this process with all its children, unless a worker has written something.

    Args:
        zygote: the connection to it, from which nobody reads yet.
        n_workers: how many workers it forks by itself.
    """

    def end(number: int, frame: Any) -> None:
        if _nothing_written(zygote, n_workers):
            descendants.end_all()
            os._exit(0)

    signal.signal(END_EARLY, end)


def forbid_early_end() -> None:
    """The node begins: it reads the driver's messages, and what the workers write."""
    signal.signal(END_EARLY, lambda number, frame: None)  # not SIG_IGN, which processes inherit


def forget_early_end() -> None:
    """This process is no node: the signal means what it means to others."""
    signal.signal(END_EARLY, signal.SIG_DFL)


def _nothing_written(zygote: socket.socket, n_workers: int) -> bool:
    """Whether the output of the workers that the zygote has forked by itself is known, and there is none."""
    if n_workers > 1:
        return False  # one look shows the descriptors of one worker only
    try:
        # What is looked at stays there for the node; the descriptors are duplicates.
        _, ancillary, _, _ = zygote.recvmsg(1, socket.CMSG_SPACE(64), socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return n_workers == 0
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    written = any(events & select.POLLIN for _, events in poll.poll(0))
    for descriptor in descriptors:
        os.close(descriptor)
    return len(descriptors) == 2 * n_workers and not written
