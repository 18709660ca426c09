"""Messages of training workers to the process that leads them, and what that process tells them first."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ("BARRIER", "BROADCAST", "ENDED", "REPORTED", "Message", "RunFacts", "WorkerFacts", "WorldPlace")

REPORTED, BARRIER, BROADCAST, ENDED = "report()", "barrier()", "broadcast_from_rank_zero()", "its end"


class Message(NamedTuple):
    """How far a worker has come.

    Args:
        kind: ``REPORTED``, ``BARRIER``, ``BROADCAST`` or ``ENDED``.
        value: The metrics, the object, or what the function has returned.
        has_files: Whether the report came with a checkpoint.
    """

    kind: str
    value: Any = None
    has_files: bool = False


class WorldPlace(NamedTuple):
    """The place of a worker among the others.

    Args:
        world_rank: Its number.
        world_size: How many there are.
        local_rank: Its number on its node.
        local_world_size: How many there are on its node.
        node_rank: Number of its node.
    """

    world_rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    node_rank: int = 0


class RunFacts(NamedTuple):
    """The run that a worker belongs to, under the names that a trial has.

    Args:
        experiment_name: Name of the experiment.
        name: Name of the trial; None outside of one.
        trial_id: Its id.
        resources: What it takes.
        path: The directory where results go.
    """

    experiment_name: str | None = None
    name: str | None = None
    trial_id: str | None = None
    resources: Any = None
    path: str | None = None


class WorkerFacts(NamedTuple):
    """The process that a worker is.

    Args:
        node_id: Id of its node.
        node_ip: Address of its node.
        pid: Its process id.
        gpus: Its GPUs.
    """

    node_id: str
    node_ip: str
    pid: int
    gpus: tuple[Any, ...] = ()
