"""Events that processes leave for the node in the arena: the table of their handlers, and their delivery."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ray_async._core.constants import EventKind
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.scheduler import events

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("ArenaEvents",)

_logger = logging.getLogger("ray_async.node")

Handler = Callable[[int], None]


class ArenaEvents:
    """Hands events to the parts of the node that they concern.

    Any process may write any event, a damaged or strange one too: each is delivered by itself, so none keeps the others
    from being delivered.

    Args:
        node: the process's parts.

    Attributes:
        counts: how many events of each kind were handled, by the kind's name.
    """

    def __init__(self, node: Node) -> None:
        self.counts: Counter[str] = Counter()
        self._unknown: set[int] = set()
        self._handlers = handlers(node)

    def deliver(self, found: Iterable[tuple[int, int]]) -> None:
        """Handle events, given as kind and argument, in their order."""
        for kind, argument in found:
            handler = self._handlers.get(kind)
            if handler is None:
                self._skip(kind, argument)
                continue
            name = EventKind(kind).name.lower()
            self.counts[name] += 1
            guarded(handler, argument, what=f"event {name}({argument})")

    def _skip(self, kind: int, argument: int) -> None:
        if kind not in self._unknown:  # once: the ring may be full of them
            self._unknown.add(kind)
            _logger.error("event of an unknown kind, %d(%d), was skipped; further ones are not logged", kind, argument)


def handlers(node: Node) -> dict[int, Handler]:
    """Every kind of event and its handler. An argument is a class, a slot, an offset or a size in bytes.

    Args:
        node: the process's parts, all of them made.
    """
    return {
        EventKind.DEMAND: node.classes.demanded,
        EventKind.CLASS: node.classes.learn,
        EventKind.WAITING: node.tasks.waiting,
        EventKind.RETURNED: node.leases.returned,
        EventKind.IDLE: node.idle,
        EventKind.BLOCKED: lambda slot: node.to_worker(slot, events.WorkerBlocked),
        EventKind.UNBLOCKED: lambda slot: node.to_worker(slot, events.WorkerUnblocked),
        EventKind.ACTOR: node.actors.submitted,
        EventKind.ACTOR_READY: node.actors.ready,
        EventKind.ACTOR_SCOPE: node.actors.out_of_scope,
        EventKind.ACTOR_DRAIN: node.actors.drain,
        EventKind.OVERFLOW: node.tasks.overflow,
        EventKind.FULL: node.spilling.make_room,
        EventKind.WORKER_UP: node.worker_up,
        EventKind.LOST: node.spilling.wanted,
        EventKind.CANCEL: node.tasks.cancel_requested,
    }
