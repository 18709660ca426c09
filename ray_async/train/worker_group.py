"""Worker group: the actors of a training run, and calls to all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray_async as ray
from ray_async.exceptions import RayActorError, RayTaskError
from ray_async.train import messages as m
from ray_async.train.error import WorkerGroupError
from ray_async.train.worker import TrainWorker
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy

__all__ = ("WorkerGroup",)

# Seconds in which workers that fail because another one did may say so.
GRACE_SECONDS = 1.0


class WorkerGroup:
    """The workers of a run, in the order of their ranks.

    Args:
        bundle: What each takes.
        count: How many there are.
        group: The placement group that they are in.
        first: The bundle of the first of them.

    Raises:
        WorkerGroupError: One could not start.
    """

    def __init__(self, bundle: Mapping[str, float], count: int, group: Any, first: int) -> None:
        self._size = count
        self._actors = [_actor(bundle, group, first + index) for index in range(count)]
        facts = self._gather([actor.facts.remote() for actor in self._actors], "start")
        # Workers of one node get neighbouring ranks.
        nodes = list(dict.fromkeys(fact.node_id for fact in facts))
        order = sorted(range(count), key=lambda index: (nodes.index(facts[index].node_id), index))
        self._actors = [self._actors[index] for index in order]
        self.facts: list[m.WorkerFacts] = [facts[index] for index in order]
        self.places = _places([fact.node_id for fact in self.facts])

    def __len__(self) -> int:
        return self._size

    def execute(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Call a function in each worker, and return what it gives there.

        Args:
            function: The function.
            args: Its arguments.
            kwargs: Its named arguments.

        Raises:
            WorkerGroupError: It failed somewhere.
        """
        return self._gather([actor.execute.remote(function, *args, **kwargs) for actor in self._actors], "set-up")

    def execute_each(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a function in each worker with arguments of its own.

        Args:
            function: The function.
            arguments: The arguments, by rank.

        Raises:
            WorkerGroupError: It failed somewhere.
        """
        calls = zip(self._actors, arguments, strict=True)
        return self._gather([actor.execute.remote(function, *own) for actor, own in calls], "set-up")

    def execute_single(self, worker_index: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in one worker.

        Args:
            worker_index: Its rank.
            function: The function.
            args: Its arguments.
            kwargs: Its named arguments.
        """
        return ray.get(self._actors[worker_index].execute.remote(function, *args, **kwargs))

    def begin(
        self, function: Callable[[], Any], order: m.RunFacts, checkpoint: str | None, shards: Sequence[Any]
    ) -> None:
        """Start the training function everywhere.

        Args:
            function: The function.
            order: The run.
            checkpoint: The directory to go on from.
            shards: Parts of the datasets, by rank.
        """
        each = zip(self._actors, self.places, shards, strict=True)
        packed = ray.put(function)
        self._gather([actor.begin.remote(packed, place, order, checkpoint, own) for actor, place, own in each], "start")

    def next(self, goes_on: bool, answer: Any) -> list[m.Message]:
        """Let all go on, and wait for the next message of each.

        Args:
            goes_on: Whether they wait for an answer.
            answer: The answer.

        Raises:
            WorkerGroupError: One has failed or died.
        """
        return self._gather([actor.next.remote(goes_on, answer) for actor in self._actors], "training")

    def store(self, ranks: Sequence[int], folder: str) -> None:
        """Have workers copy the files of the reports that wait.

        Args:
            ranks: Those that have files.
            folder: The directory.
        """
        self._gather([self._actors[rank].store.remote(folder) for rank in ranks], "saving", ranks)

    def shutdown(self) -> None:
        """End all workers."""
        for actor in self._actors:
            ray.kill(actor)

    def _gather(self, calls: list[Any], doing: str, ranks: Sequence[int] | None = None) -> list[Any]:
        """The values of calls, as soon as all are there or one has failed."""
        by_call = dict(zip(calls, ranks if ranks is not None else range(len(calls)), strict=True))
        values: dict[int, Any] = {}
        failures: dict[int, BaseException] = {}
        pending = list(calls)
        while pending and not failures:
            ready, pending = ray.wait(pending, num_returns=1)
            _sort(ready, by_call, values, failures)
        if failures:
            ready, _ = ray.wait(pending, num_returns=len(pending), timeout=GRACE_SECONDS) if pending else ([], [])
            _sort(ready, by_call, values, failures)
            raise _error(failures, self._size, doing)
        return [values[by_call[call]] for call in calls]


def _actor(bundle: Mapping[str, float], group: Any, index: int) -> Any:
    own = dict(bundle)
    strategy = PlacementGroupSchedulingStrategy(group, index, placement_group_capture_child_tasks=True)
    made: Any = ray.remote(TrainWorker)
    return made.options(
        num_cpus=own.pop("CPU", 0),
        num_gpus=own.pop("GPU", 0),
        memory=own.pop("memory", None),
        resources=own or None,
        max_concurrency=4,
        scheduling_strategy=strategy,
    ).remote()


def _places(nodes: Sequence[str]) -> list[m.WorldPlace]:
    sizes, seen = Counter(nodes), Counter[str]()
    numbers = {node: number for number, node in enumerate(dict.fromkeys(nodes))}
    places = []
    for rank, node in enumerate(nodes):
        places.append(m.WorldPlace(rank, len(nodes), seen[node], sizes[node], numbers[node]))
        seen[node] += 1
    return places


def _sort(
    ready: Sequence[Any], by_call: Mapping[Any, int], values: dict[int, Any], failures: dict[int, BaseException]
) -> None:
    for call in ready:
        try:
            values[by_call[call]] = ray.get(call)
        except (RayActorError, RayTaskError) as error:
            failures[by_call[call]] = error


def _error(failures: Mapping[int, BaseException], size: int, doing: str) -> WorkerGroupError:
    """One error for all failures: deaths first, since others fail for them."""
    ranks = sorted(failures, key=lambda rank: (not isinstance(failures[rank], RayActorError), rank))
    lines = []
    for rank in ranks:
        kind = "died" if isinstance(failures[rank], RayActorError) else "failed"
        lines.append(f"the worker of rank {rank} (of {size}) {kind} in {doing}: {str(failures[rank]).strip()}")
    error = WorkerGroupError("\n".join(lines), {rank: failures[rank] for rank in ranks})
    error.__cause__ = failures[ranks[0]]
    return error
