"""Standstill: what an execution lacks of whose calls none has begun, for a person to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray_async as ray
from ray_async.util import state

__all__ = ("NotBegun", "has_begun", "what_lacks")

_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


@dataclass(frozen=True)
class NotBegun:
    """Calls or actors of a stage that wait to be started.

    Attributes:
        stage: its name.
        options: what they were started with.
        reference: of one of them.
    """

    stage: str
    options: Mapping[str, Any]
    reference: Any

    @property
    def needs(self) -> dict[str, float]:
        """Quantities by the names of their resources."""
        given = {"num_cpus": 1.0, **self.options}
        found = {name: float(given[option] or 0) for option, name in _NAMES.items() if option in given}
        return {name: amount for name, amount in {**found, **(given.get("resources") or {})}.items() if amount}


def has_begun(waiting: Sequence[NotBegun]) -> bool:
    """Whether any of the calls runs, or the worker of any of the actors; asks the node."""
    rows = state.list_tasks(filters=[("state", "!=", "FINISHED")], limit=10_000)
    pending = {row.task_id: row.actor_id for row in rows if row.state.startswith("PENDING")}
    unmade = {row.actor_id for row in rows if row.type == "ACTOR_CREATION_TASK" and row.task_id in pending}
    for item in waiting:
        task = item.reference.task_id().hex()
        actor = pending.get(task)
        if task not in pending or (actor is not None and actor not in unmade):
            return True
    return not waiting


def what_lacks(waiting: Sequence[NotBegun]) -> str | None:
    """A sentence: who waits for what, how much of it is free, and which actors hold it; None where nothing lacks."""
    free, total = ray.available_resources(), ray.cluster_resources()
    for item in waiting:
        short = [name for name, amount in item.needs.items() if free.get(name, 0.0) < amount]
        if short:
            needs = " and ".join(f"{item.needs[name]:g} {name}" for name in short)
            frees = " and ".join(f"{free.get(name, 0.0):g} of {total.get(name, 0.0):g} {name}" for name in short)
            return f"{item.stage} cannot start: it waits for {needs}, but {frees} are free.{_holders(short)}"
    return None


def _holders(names: Sequence[str]) -> str:
    counts: dict[tuple[str, str], int] = {}
    for row in state.list_actors(filters=[("state", "=", "ALIVE")], limit=10_000):
        held = [f"{row.required_resources[name]:g} {name}" for name in names if row.required_resources.get(name)]
        if held:
            counts[row.class_name, " and ".join(held)] = counts.get((row.class_name, " and ".join(held)), 0) + 1
    shown = [f"{count} x {name} ({held} each)" for (name, held), count in counts.items()]
    return f" Actors that live hold the others: {', '.join(shown)}." if shown else ""
