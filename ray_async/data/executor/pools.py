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
    tasks: set[int] = field(default_factory=set)


class StagePool:
    """The actors of one stage.

    Args:
        stage: the stage's index.
        spec: how many there may be.
    """

    def __init__(self, stage: int, spec: PoolSpec) -> None:
        self._stage = stage
        self._spec = spec
        self._actors: dict[int, _Actor] = {}
        self._of_task: dict[int, _Actor] = {}

    @property
    def busy(self) -> int:
        """Calls that the actors run at this moment."""
        return sum(min(len(actor.tasks), self._spec.at_once) for actor in self._actors.values())

    def __len__(self) -> int:
        return len(self._actors)

    def grow(self, wanted: bool) -> list[Instruction]:
        """Start actors: the least number at first, then one when all have work and there may be more."""
        if not wanted:
            return []
        missing = self._spec.least - len(self._actors)
        if missing <= 0 and len(self._actors) < self._spec.most and self._all_busy():
            missing = 1
        started: list[Instruction] = []
        for _ in range(missing):
            number = next(_ids)
            self._actors[number] = _Actor(number)
            started.append(StartActor(number, self._stage))
        return started

    def _all_busy(self) -> bool:
        return all(actor.ready and len(actor.tasks) > self._spec.at_once for actor in self._actors.values())

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
        free = [actor for actor in self._actors.values() if actor.ready and len(actor.tasks) < self._spec.ahead]
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
