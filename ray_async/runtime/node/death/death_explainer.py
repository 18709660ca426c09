"""Explanations of a worker's death: the errors that callers of what it ran get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async.machine.exit_status import ExitStatus
from ray_async.runtime.node.actor_table import Actor, ActorTable
from ray_async.runtime.node.death.evidence import DeathCause, DeathReport, Deceased, Evidence
from ray_async.runtime.node.restart import Restart, Stay
from ray_async.runtime.node.task_names import TaskNames
from ray_async.runtime.node.workers import WorkerProcess, Workers

if TYPE_CHECKING:
    from ray_async._core.record_facts import RecordFacts

__all__ = ("DeathExplainer", "Deaths")


class DeathExplainer:
    """Gives the stored errors for what a dead worker ran.

    Args:
        worker: the dead worker.
        evidence: of how it ended.
        actors: those that there are.
        names: of tasks.
        node_ip: address of the node.
    """

    def __init__(
        self, worker: WorkerProcess, evidence: Evidence, actors: ActorTable, names: TaskNames, node_ip: str
    ) -> None:
        self._worker = worker
        self._evidence = evidence
        self._actors = actors
        self._names = names
        self._node_ip = node_ip

    @property
    def worker(self) -> WorkerProcess:
        """The dead worker."""
        return self._worker

    @property
    def out_of_memory(self) -> bool:
        """Whether it was killed because memory was short, by the node or by the kernel."""
        return self._evidence.cause in (DeathCause.MEMORY_MONITOR, DeathCause.OUT_OF_MEMORY)

    @property
    def cause(self) -> DeathCause:
        """The cause of the death."""
        return self._evidence.cause

    @property
    def summary(self) -> str:
        """The cause in a few words."""
        return self._evidence.summary

    def __call__(self, record: int, facts: RecordFacts) -> bytes:
        """The error of a task or of an actor's call that the worker ran."""
        worker = self._worker
        if facts["actor"]:
            actor = self._actors.by_offset.get(facts["actor"])
            if actor is not None:
                if actor.error is not None:
                    return actor.error
                if isinstance(actor.verdict, Restart):
                    return errors.to_payload(
                        errors.ActorUnavailableError("it died, and is restarted.", actor.id.binary())
                    )
                return errors.to_payload(self.actor_error(actor))
        if worker.kill_cause is DeathCause.GROUP_REMOVED:
            return errors.to_payload(errors.TaskPlacementGroupRemoved())
        name = self._names.name_of(record)
        deceased = Deceased(name, pid=worker.pid, node_ip=self._node_ip)
        return errors.to_payload(DeathReport.build(deceased, self._evidence).error())

    def actor_error(self, actor: Actor) -> BaseException:
        """The error for callers of an actor that the worker hosted."""
        if actor.ended is DeathCause.EXIT_ACTOR:
            return actor.died(f"It has ended: {actor.end_detail}.")
        deceased = Deceased(
            actor.description.class_name,
            pid=self._worker.pid,
            node_ip=self._node_ip,
            actor_id=actor.id.hex(),
            class_name=actor.description.class_name,
            actor_name=actor.name,
            namespace=actor.namespace,
        )
        return DeathReport.build(deceased, self._evidence_of(actor)).error()

    def _evidence_of(self, actor: Actor) -> Evidence:
        """The evidence, with the reason why the actor stays dead where its death alone does not say so."""
        verdict = actor.verdict
        if isinstance(verdict, Stay) and actor.ended is None:
            return self._evidence.replace(not_restarted=verdict.reason)
        return self._evidence


class Deaths:
    """Makes explanations of deaths.

    Args:
        workers: know what the dead have written last, and how often memory was short.
        actors: those that there are.
        names: of tasks.
        node_ip: address of the node.
    """

    def __init__(self, workers: Workers, actors: ActorTable, names: TaskNames, node_ip: str) -> None:
        self._workers = workers
        self._actors = actors
        self._names = names
        self._node_ip = node_ip

    def explain(self, worker: WorkerProcess, status: int) -> DeathExplainer:
        """Explain a death, once, as soon as it is known.

        Args:
            worker: the dead worker.
            status: its wait status.
        """
        before, after = self._workers.take_memory_events()
        evidence = Evidence(
            status=ExitStatus.from_wait_status(status),
            intent=worker.kill_cause,
            memory_before=before,
            memory_after=after,
            stderr=self._workers.pump.tail.get(worker.pid),
            detail=worker.kill_detail,
        )
        return DeathExplainer(worker, evidence, self._actors, self._names, self._node_ip)
