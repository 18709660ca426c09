"""Messages between the search and its runners: plain tuples, the kind first.

A runner's messages travel as one pickle, which the journal takes as it is. Metrics that are numbers and texts are in it
as they are, in a dict of their own, so that later changes to the user's do not show; others are pickled when they are
reported, so the runner finds out by itself what cannot be sent.
"""

from __future__ import annotations

import pickle
from typing import Any, NamedTuple

from ray_async.exceptions import RayError, RayTaskError
from ray_async.tune.journal.pickling import can_be_pickled, dumps

__all__ = (
    "DONE",
    "DROP",
    "ENDING",
    "FAILED",
    "GIVE_BACK",
    "PAUSE",
    "PAUSED",
    "REPORT",
    "RETURNED",
    "SAVE",
    "SAVED",
    "STOP",
    "STOPPED",
    "Done",
    "Ended",
    "RunnerFacts",
    "Saved",
    "TrialOrder",
    "TrialReport",
    "error_of",
    "is_plain",
    "pack",
    "unpack",
)

# From a runner.
REPORT, DONE, FAILED, STOPPED, PAUSED, SAVED, RETURNED = (
    "report",
    "done",
    "failed",
    "stopped",
    "paused",
    "saved",
    "returned",
)
# To a runner.
STOP, PAUSE, SAVE, DROP = "stop", "pause", "save", "drop"
# For a trial that has not begun: another runner has nothing to do.
GIVE_BACK = "give back"
# After these a trial ends; DROP is STOP without a checkpoint, since the trial goes on from another one's.
ENDING = (STOP, PAUSE, DROP)


class RunnerFacts(NamedTuple):
    """The process that a runner is.

    Args:
        pid: Its process id.
        hostname: Its machine's name.
        node_ip: Its machine's address.
    """

    pid: int
    hostname: str
    node_ip: str


class TrialReport(NamedTuple):
    """A report of a trial.

    Args:
        kind: ``REPORT``.
        trial_id: The trial.
        attempt: Number of the trial's start.
        iteration: The training iteration.
        metrics: Metrics, as `pack` gives them.
        time_total: Seconds that the trial has trained, earlier starts included.
        time_this_iteration: Seconds of this iteration.
        timestamp: Seconds since the epoch.
        since_restore: Iterations and seconds since this start.
        checkpoint: Name of the checkpoint's directory below the trial's.
        done: Whether it is the last one.
    """

    kind: str
    trial_id: str
    attempt: int
    iteration: int
    metrics: dict[str, Any] | bytes
    time_total: float
    time_this_iteration: float
    timestamp: float
    since_restore: tuple[int, float]
    checkpoint: str | None
    done: bool


class Done(NamedTuple):
    """A trial's own end.

    Args:
        kind: ``DONE``.
        trial_id: The trial.
        attempt: Number of the trial's start.
        error: None.
        seconds: How long it ran.
    """

    kind: str
    trial_id: str
    attempt: int
    error: None
    seconds: float


class Ended(NamedTuple):
    """A trial's end by failure, or one that was asked for.

    Args:
        kind: ``FAILED``, ``STOPPED`` or ``PAUSED``.
        trial_id: The trial.
        attempt: Number of the trial's start.
        error: The failure, as bytes of an error.
        seconds: How long it ran.
    """

    kind: str
    trial_id: str
    attempt: int
    error: bytes | None
    seconds: float


class Saved(NamedTuple):
    """A checkpoint that was asked for.

    Args:
        kind: ``SAVED``.
        trial_id: The trial.
        attempt: Number of the trial's start.
        checkpoint: Name of the checkpoint's directory below the trial's.
        iteration: The training iteration.
        time_total: Seconds that the trial has trained.
    """

    kind: str
    trial_id: str
    attempt: int
    checkpoint: str
    iteration: int
    time_total: float


class TrialOrder(NamedTuple):
    """A trial that a runner is to run.

    Args:
        trial_id: The trial.
        attempt: Number of the start.
        config: Its config.
        path: Its directory.
        name: Its name.
        iteration: Training iteration of the checkpoint that it goes on from.
        time_total: Seconds that it had trained by then.
        checkpoint: Path of that checkpoint.
        checkpoint_index: Number of its next checkpoint.
        lockstep: Whether it waits at each report for the answer.
        judged: Whether its reports are answered at all.
        verdicts_at: Iterations at which an answer may tell it to end; None: any.
        experiment_name: Name of the experiment; the runner knows it, so it does not travel.
        resources: What the trial takes; the same.
        waits: Whether it is to wait behind the one that runs, however long that takes.
    """

    trial_id: str
    attempt: int
    config: dict[str, Any]
    path: str
    name: str
    iteration: int
    time_total: float
    checkpoint: str | None
    checkpoint_index: int
    lockstep: bool
    judged: bool
    verdicts_at: tuple[int, ...] | None = None
    experiment_name: str = ""
    resources: Any = None
    waits: bool = False


_PLAIN = frozenset((float, int, str, bool, type(None)))


def is_plain(metrics: dict[str, Any]) -> bool:
    """Tell whether metrics are numbers and texts alone, so that they can be sent as they are.

    Args:
        metrics: The metrics.
    """
    return _PLAIN.issuperset(map(type, metrics.values()))


def pack(metrics: dict[str, Any]) -> dict[str, Any] | bytes:
    """Metrics as they can be sent: a copy of a dict of numbers and texts, or bytes.

    Args:
        metrics: The metrics.

    Raises:
        TypeError: They hold what cannot be pickled.
    """
    if is_plain(metrics):
        return dict(metrics)
    try:
        return dumps(metrics)
    except Exception as error:
        bad = [name for name, value in metrics.items() if not can_be_pickled(value)]
        raise TypeError(f"metrics {bad} cannot be reported, since they cannot be pickled: {error}") from error


def unpack(packed: dict[str, Any] | bytes) -> dict[str, Any]:
    """Metrics of what `pack` has made.

    Args:
        packed: The metrics.
    """
    if isinstance(packed, dict):
        return dict(packed)
    metrics: dict[str, Any] = pickle.loads(packed)
    return metrics


def error_of(packed: bytes) -> BaseException:
    """An error of its bytes; a trial's is one of the class that its code raised, too.

    Args:
        packed: What `to_bytes` has made.
    """
    error = RayError.from_bytes(packed)
    return error.as_instanceof_cause() if isinstance(error, RayTaskError) else error
