"""Pool: the runners of a search, each with its placement group."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import ray_async as ray
from ray_async.exceptions import NodeDiedError, RayActorError, TaskPlacementGroupRemoved
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.runner import TrialRunner
from ray_async.tune.execution.slots import slots
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.trainable.running import RunOptions
from ray_async.util import remove_placement_group
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy

__all__ = ("RunnerPlace", "RunnerPool")


@dataclass(eq=False)
class RunnerPlace:
    """A runner, as the search sees it.

    Args:
        factory: What its trials take.
        group: Its placement group.
    """

    factory: PlacementGroupFactory
    group: Any
    actor: Any = None
    facts: m.RunnerFacts | None = None
    # Trials that it has, in order; orders and answers that it is still to get.
    trials: dict[str, int] = field(default_factory=dict)
    orders: list[m.TrialOrder] = field(default_factory=list)
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    judged: tuple[str, int, int] | None = None
    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    # When it last said something, and whether its silence since then was told.
    heard: float = 0.0
    named: bool = False
    # Trials that it was asked to give back, since another runner has nothing to do.
    asked: set[str] = field(default_factory=set)
    # Whether the trial that it runs takes so long that it has handed back those behind it.
    holds: bool = False

    def room(self, batch: int) -> int:
        """How many trials it may have at once: behind a long one more than one would only come back.

        Args:
            batch: How many a runner may have in general.
        """
        return min(batch, 2) if self.holds else batch

    @property
    def is_ready(self) -> bool:
        """Whether it can take trials."""
        return self.facts is not None and not self.closed


class RunnerPool:
    """Makes and ends runners.

    Args:
        trainable: Reference to what they run.
        options: How they run it.
    """

    def __init__(self, trainable: Any, options: RunOptions) -> None:
        self._trainable = trainable
        self._options = options
        self._class = ray.remote(TrialRunner)
        self._slots: dict[PlacementGroupFactory, int] = {}
        self.runners: list[RunnerPlace] = []

    def slots(self, factory: PlacementGroupFactory) -> int:
        """How many runners of one kind there is room for.

        Raises:
            TuneError: Not even for one.
        """
        found = self._slots.get(factory)
        if found is None:
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            found = self._slots[factory] = slots(factory, nodes)
        return found

    @property
    def has_ended(self) -> bool:
        """Whether the session is gone, with all runners."""
        try:
            ray.nodes()
        except NodeDiedError:
            return True
        return False

    def add(self, factory: PlacementGroupFactory) -> RunnerPlace:
        """Ask for another runner; `start` waits until there is room for it.

        Args:
            factory: What its trials take.
        """
        runner = RunnerPlace(factory, factory())
        self.runners.append(runner)
        return runner

    async def start(self, runner: RunnerPlace) -> bool:
        """Start a runner's process, when there is room for it.

        Args:
            runner: The runner.

        Returns:
            Whether it runs; False if it was closed meanwhile.
        """
        head = dict(runner.factory.head_bundle)
        # CPUs stay with the group, for the tasks that a trial starts while it waits for them.
        head.pop("CPU", None)
        gpus = head.pop("GPU", 0.0)
        memory = head.pop("memory", None)
        strategy = PlacementGroupSchedulingStrategy(runner.group, 0, placement_group_capture_child_tasks=True)
        runner.actor = self._class.options(
            num_cpus=0,
            num_gpus=gpus,
            memory=memory,
            resources=head or None,
            max_concurrency=4,
            scheduling_strategy=strategy,
        ).remote(self._trainable, self._options, runner.factory)
        try:
            runner.facts = m.RunnerFacts(*await runner.actor.facts.remote())
        except (TaskPlacementGroupRemoved, RayActorError):
            if runner.closed:
                return False
            raise
        return not runner.closed

    def close(self, runner: RunnerPlace) -> None:
        """End a runner's process, and give its resources back.

        Args:
            runner: The runner.
        """
        if runner.closed:
            return
        runner.closed = True
        self.runners.remove(runner)
        if runner.actor is not None:
            ray.kill(runner.actor)
        remove_placement_group(runner.group)
        runner.wanted.set()
