"""The watch over a compiled graph's actors: a thread that learns of their deaths from the operating system."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Iterator

from ray_async import exceptions as errors
from ray_async.dag.compiled.life import Life, Member

__all__ = ("watch",)

_START_SLICE_S = 0.05  # between looks at whether the graph has ended, while actors are created
_POLL_SLICE_S = 1.0  # between looks at processes, where the system has no descriptors of them


def watch(life: Life) -> None:
    """Start the thread; `Life.stop_watching` ends it."""
    life.watch = threading.Thread(target=_run, args=(life,), name="ray::graph-watch", daemon=True)
    life.watch.start()


def _run(life: Life) -> None:
    pids = _started(life)
    if pids is None:
        return
    with _descriptors(life, pids) as members:
        poll = select.poll()
        poll.register(life.stop_descriptor, select.POLLIN)
        for descriptor in members:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(None if members else 1000 * _POLL_SLICE_S):
                if descriptor == life.stop_descriptor:
                    return
                poll.unregister(descriptor)
                life.member_died(members[descriptor])
            if not members:
                for pid, member in pids.items():
                    if not os.path.exists(f"/proc/{pid}") and not _is_alive(pid):
                        life.member_died(member)


def _started(life: Life) -> dict[int, Member] | None:
    """Processes of the actors, once all run; None when the graph ends before that."""
    pids: dict[int, Member] = {}
    for member in life.members:
        while not life.session.wait([member.started], 1, _START_SLICE_S, False)[0]:
            if _is_readable(life.stop_descriptor):
                return None
        try:
            pids[life.session.get([member.started], None)[0]] = member
        except errors.ActorUnavailableError:
            life.member_died(member)
        except errors.RayError as error:
            life.finish(error)
            life.member_died(member)
    return pids


@contextlib.contextmanager
def _descriptors(life: Life, pids: dict[int, Member]) -> Iterator[dict[int, Member]]:
    """A descriptor of each process, which is readable once that is gone; none where the system has no such thing."""
    members: dict[int, Member] = {}
    try:
        if hasattr(os, "pidfd_open"):
            for pid, member in pids.items():
                try:
                    members[os.pidfd_open(pid)] = member
                except ProcessLookupError:
                    life.member_died(member)
        yield members
    finally:
        for descriptor in members:
            os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
