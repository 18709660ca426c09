"""Events that processes leave for the node in the arena: the table of their handlers, and their delivery."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from ray_async._core.constants import EventKind
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.leases import Leases
from ray_async.runtime.node.objects.spilling import Spilling
from ray_async.runtime.node.overflow import Overflow
from ray_async.runtime.node.tasks import Tasks

__all__ = ("ArenaEvents", "Handler", "handlers")

_logger = logging.getLogger("ray_async.node")

Handler = Callable[[int], None]


class ArenaEvents:
    """Hands events to the parts of the node that they concern.

    Any process may write any event, a damaged or strange one too: each is delivered by itself, so none keeps the others
    from being delivered.

    Args:
        handlers: by kind of event.

    Attributes:
        counts: how many events of each kind were handled, by the kind's name.
    """

    def __init__(self, handlers: Mapping[int, Handler]) -> None:
        self.counts: Counter[str] = Counter()
        self._unknown: set[int] = set()
        self._handlers = handlers

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


def handlers(
    classes: Classes,
    tasks: Tasks,
    overflow: Overflow,
    leases: Leases,
    actors: Actors,
    spilling: Spilling,
    worker_up: Handler,
) -> dict[int, Handler]:
    """Every kind of event and its handler. An argument is a class, a slot, an offset or a size in bytes.

    Args:
        classes, tasks, overflow, leases, actors, spilling: the parts that events concern.
        worker_up: called with the slot of a worker that is ready.
    """
    return {
        EventKind.DEMAND: classes.demanded,
        EventKind.CLASS: classes.learn,
        EventKind.WAITING: tasks.waiting,
        EventKind.RETURNED: leases.returned,
        EventKind.IDLE: leases.idle,
        EventKind.BLOCKED: leases.blocked,
        EventKind.UNBLOCKED: leases.unblocked,
        EventKind.ACTOR: actors.submitted,
        EventKind.ACTOR_READY: actors.ready,
        EventKind.ACTOR_SCOPE: actors.out_of_scope,
        EventKind.ACTOR_DRAIN: actors.drain,
        EventKind.OVERFLOW: overflow.refill,
        EventKind.FULL: spilling.make_room,
        EventKind.WORKER_UP: worker_up,
        EventKind.LOST: spilling.wanted,
        EventKind.CANCEL: tasks.cancel_requested,
    }
