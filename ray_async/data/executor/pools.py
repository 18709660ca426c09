"""Pools: the actors of a stage, which call each of them runs, and when there should be more or fewer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from ray_async.data.executor.instructions import Instruction, PoolSpec, StartActor, StopActor

__all__ = ("StagePool",)

_ids = itertools.count(1)


@dataclass(eq=False)
class _Actor:
    number: int
    ready: bool = False
    retiring: bool = False
    tasks: set[int] = field(default_factory=set)


class StagePool:
    """The actors of one stage.

    Args:
        stage: the stage's index.
        spec: how many there may be.
    """

    def __init__(self, stage: int, spec: PoolSpec) -> None:
        self._stage = stage
        self.spec = spec
        self._actors: dict[int, _Actor] = {}
        self._of_task: dict[int, _Actor] = {}

    @property
    def busy(self) -> int:
        """Calls that the actors run at this moment."""
        return sum(min(len(actor.tasks), self.spec.at_once) for actor in self._actors.values())

    def __len__(self) -> int:
        return len(self._actors)

    @property
    def size(self) -> int:
        """Actors that are to stay."""
        return sum(1 for actor in self._actors.values() if not actor.retiring)

    @property
    def all_busy(self) -> bool:
        """Whether every actor that is to stay has more work than it runs at a time, or as much as it may have.

        Of a pool that shares the CPUs, those that are only starting do not count: its room is bounded anyway.
        """
        staying = [actor for actor in self._actors.values() if not actor.retiring]
        working = [actor for actor in staying if actor.ready or not self.spec.shares]
        full = min(self.spec.at_once + 1, self.spec.ahead)
        return bool(working) and all(actor.ready and len(actor.tasks) >= full for actor in working)

    def grow(self, wanted: bool, room: int) -> list[Instruction]:
        """Start actors: the least number at first, then one, or all that share the CPUs, when all have work.

        Args:
            wanted: whether there is work.
            room: actors that may be started beyond the least number.
        """
        if not wanted:
            return []
        missing = self.spec.least - self.size
        if missing <= 0 and room > 0 and self.size < self.spec.most and self.all_busy:
            missing = min(room, self.spec.most - self.size) if self.spec.shares else 1
        started: list[Instruction] = []
        for _ in range(missing):
            number = next(_ids)
            self._actors[number] = _Actor(number)
            started.append(StartActor(number, self._stage))
        return started

    def retire(self) -> list[Instruction]:
        """Let the actor with the fewest calls end these and take no more."""
        staying = [actor for actor in self._actors.values() if actor.ready and not actor.retiring]
        if len(staying) <= self.spec.least:
            return []
        min(staying, key=lambda actor: len(actor.tasks)).retiring = True
        return self.retired()

    def retired(self) -> list[Instruction]:
        """Stop the retiring actors that have ended their calls."""
        ended = [actor.number for actor in self._actors.values() if actor.retiring and not actor.tasks]
        for number in ended:
            del self._actors[number]
        return [StopActor(number) for number in ended]

    def shrink(self, exhausted: bool) -> list[Instruction]:
        """Stop the actors that have nothing to do once no further call will come."""
        if not exhausted:
            return []
        idle = [actor.number for actor in self._actors.values() if actor.ready and not actor.tasks]
        for number in idle:
            del self._actors[number]
        return [StopActor(number) for number in idle]

    def end(self) -> list[Instruction]:
        """Stop all actors."""
        numbers = list(self._actors)
        self._actors.clear()
        self._of_task.clear()
        return [StopActor(number) for number in numbers]

    def ready(self, number: int) -> None:
        if number in self._actors:
            self._actors[number].ready = True

    def lost(self, number: int) -> None:
        actor = self._actors.pop(number, None)
        if actor is not None:
            for task in actor.tasks:
                self._of_task.pop(task, None)

    def free_actor(self) -> int | None:
        """The actor with the fewest calls, if one can take another."""
        able = (actor for actor in self._actors.values() if actor.ready and not actor.retiring)
        free = [actor for actor in able if len(actor.tasks) < self.spec.ahead]
        return min(free, key=lambda actor: len(actor.tasks)).number if free else None

    def give(self, task: int) -> None:
        """Give a call to the actor that `free_actor` names."""
        number = self.free_actor()
        assert number is not None
        actor = self._actors[number]
        actor.tasks.add(task)
        self._of_task[task] = actor

    def actor_of(self, task: int) -> int | None:
        actor = self._of_task.get(task)
        return actor.number if actor is not None else None

    def done(self, task: int) -> None:
        """A call has ended, one way or the other."""
        actor = self._of_task.pop(task, None)
        if actor is not None:
            actor.tasks.discard(task)
