"""States of stages at a moment: how far, how much, and what each waits for. Reads the machine, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from ray_async.data.executor.barrier import BarrierStage
from ray_async.data.executor.machine import Machine
from ray_async.data.executor.stages import BundlesStage, CallStage, LimitStage, MapStage, Stage

__all__ = ("CPU", "DONE", "INPUT", "MEMORY", "RUNNING", "STARTING", "StageState", "states_of")

DONE, RUNNING, INPUT, MEMORY, CPU, STARTING = "done", "running", "input", "memory", "a CPU", "actors"


@dataclass(frozen=True)
class StageState:
    """A stage at a moment.

    Attributes:
        name: the operator's.
        rows: rows that it has given so far.
        bytes: their bytes.
        running: calls that run.
        actors: actors of its pool; None for a stage without one.
        share: how much of it is done, 0 to 1; None where nobody knows.
        waits: what it waits for, or `RUNNING`, or `DONE`.
    """

    name: str
    rows: int
    bytes: int
    running: int
    actors: int | None
    share: float | None
    waits: str


def states_of(machine: Machine) -> list[StageState]:
    """The state of each stage that has work of its own, in the order of the plan."""
    shares: dict[Stage, float | None] = {}
    found: list[StageState] = []
    for index, stage in enumerate(machine.stages):
        shares[stage] = _share(stage, shares)
        if isinstance(stage, BundlesStage):
            continue  # rows that exist already need no bar
        running = len(stage.running) if isinstance(stage, CallStage) else 0
        rows, size = stage.given()
        actors = machine.actors_of(index)
        found.append(StageState(stage.name, rows, size, running, actors, shares[stage], _waits(machine, index, stage)))
    return found


def _share(stage: Stage, shares: dict[Stage, float | None]) -> float | None:
    if stage.over:
        return 1.0
    below = [shares[part] for part in stage.inputs]
    known = [share for share in below if share is not None]
    inputs = 1.0 if not below else sum(known) / len(below) if len(known) == len(below) else None
    if isinstance(stage, LimitStage):
        return stage.counts.rows / max(1, stage.counts.rows + stage.left)
    if not isinstance(stage, CallStage) or inputs is None:
        return inputs
    if isinstance(stage, MapStage) and not stage.inputs:
        return stage.counts.tasks / max(1, len(stage.spec.reads))
    started = stage.counts.tasks + stage.counts.failed + len(stage.running)
    own = stage.counts.tasks / started if started else 0.0
    # A barrier's later steps are not known in advance: half is for the gathering.
    return (inputs + own) / 2 if isinstance(stage, BarrierStage) else inputs * own


def _waits(machine: Machine, index: int, stage: Stage) -> str:
    if stage.over:
        return DONE
    if not isinstance(stage, CallStage):
        return INPUT
    if not machine.has_credit(stage):
        return MEMORY
    if stage.running:
        return RUNNING
    if not stage.has_work():
        return INPUT
    return STARTING if machine.actors_of(index) is not None else CPU
