"""Effects: what the state of a search wants done, in the order in which it is to be done.

They are made several times for each trial, and frozen ones would cost twice as much; nobody changes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_async.tune.experiment.checkpoint_record import CheckpointRecord
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.search.search_algorithm import Suggestion

__all__ = (
    "CheckpointAdded",
    "CheckpointRemoved",
    "ConfigChanged",
    "Effect",
    "TrialAdded",
    "TrialAnswered",
    "TrialEnded",
    "TrialRecovered",
    "TrialReported",
    "TrialStarted",
)


@dataclass(slots=True)
class TrialAdded:
    """A trial was made."""

    trial: Trial
    suggestion: Suggestion


@dataclass(slots=True)
class TrialStarted:
    """A trial starts, or goes on."""

    trial: Trial


@dataclass(slots=True)
class TrialReported:
    """A result was taken."""

    trial: Trial
    result: dict[str, Any]


@dataclass(slots=True)
class CheckpointAdded:
    """A checkpoint was taken."""

    trial: Trial
    record: CheckpointRecord


@dataclass(slots=True)
class CheckpointRemoved:
    """A checkpoint is not kept, and its files are to go."""

    trial: Trial
    record: CheckpointRecord


@dataclass(slots=True)
class TrialAnswered:
    """A running trial is to stop, to pause or to save."""

    trial: Trial
    attempt: int
    answer: str


@dataclass(slots=True)
class TrialEnded:
    """A trial has ended for good."""

    trial: Trial
    failed: bool


@dataclass(slots=True)
class TrialRecovered:
    """A trial has failed, and will be started again."""

    trial: Trial
    error: BaseException


@dataclass(slots=True)
class ConfigChanged:
    """A trial goes on with another config."""

    trial: Trial


Effect = (
    TrialAdded
    | TrialStarted
    | TrialReported
    | CheckpointAdded
    | CheckpointRemoved
    | TrialAnswered
    | TrialEnded
    | TrialRecovered
    | ConfigChanged
)
