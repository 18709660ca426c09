"""Trial: one config that is tried, its state and what it has reported."""

from __future__ import annotations

import os
from collections import deque
from typing import Any, NamedTuple

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig
from ray_async.tune.error import TuneError
from ray_async.tune.execution.report_result import FILLED
from ray_async.tune.experiment.checkpoint_record import KeptCheckpoints
from ray_async.tune.metric import flatten, number
from ray_async.tune.placement_groups import PlacementGroupFactory

__all__ = ("ExportFormat", "MetricHistory", "Trial", "TrialStorage")

# Keys that are filled in and that nobody optimises.
_NOT_ANALYSED = FILLED - {"training_iteration", "time_total_s"}


class ExportFormat:
    """Usual formats of exported models."""

    CHECKPOINT = "checkpoint"
    MODEL = "model"
    ONNX = "onnx"
    H5 = "h5"

    @staticmethod
    def validate(formats: list[str]) -> None:
        """Check formats, and write them in lower case.

        Args:
            formats: The formats, changed in place.

        Raises:
            TuneError: One that is not among the usual ones.
        """
        formats[:] = [one.strip().lower() for one in formats]
        known = (ExportFormat.CHECKPOINT, ExportFormat.MODEL, ExportFormat.ONNX, ExportFormat.H5)
        unknown = [one for one in formats if one not in known]
        if unknown:
            raise TuneError(f"a model cannot be exported as {unknown}: there are {list(known)}")


class TrialStorage(NamedTuple):
    """Where a trial's files lie.

    Args:
        trial_fs_path: The trial's directory, where results are kept.
        trial_working_directory: The directory that its code works in.
    """

    trial_fs_path: str
    trial_working_directory: str


class MetricHistory:
    """What is remembered of a metric: extremes, sums, and the last ten values."""

    __slots__ = ("count", "last", "max", "min", "recent", "total")

    def __init__(self, value: float) -> None:
        self.max = self.min = self.last = value
        self.total = 0.0
        self.count = 0
        self.recent: deque[float] = deque(maxlen=10)
        self.add(value)

    def add(self, value: float) -> None:
        """Note a value."""
        # NaN is never an extreme, so that one NaN does not hide what came before or comes after.
        if value > self.max or self.max != self.max:
            self.max = value
        if value < self.min or self.min != self.min:
            self.min = value
        self.last = value
        self.total += value
        self.count += 1
        self.recent.append(value)

    def scopes(self) -> dict[str, float]:
        """The values by the names of scopes."""
        recent = list(self.recent)
        return {
            "max": self.max,
            "min": self.min,
            "avg": self.total / self.count,
            "last": self.last,
            "last-5-avg": sum(recent[-5:]) / len(recent[-5:]),
            "last-10-avg": sum(recent) / len(recent),
        }


class Trial:
    """One config that is tried.

    Args:
        trainable_name: Name of what is run.
        config: Its config.
        trial_id: Its id, unique in the experiment.
        evaluated_params: The values that were drawn or suggested, by path.
        experiment_tag: Number and values, as text.
        placement_group_factory: What it takes.
        checkpoint_config: Which checkpoints stay.
        name: Name that the user's function has given.
        path: Its directory.
    """

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"

    def __init__(
        self,
        trainable_name: str,
        *,
        config: dict[str, Any] | None = None,
        trial_id: str,
        evaluated_params: dict[str, Any] | None = None,
        experiment_tag: str = "",
        placement_group_factory: PlacementGroupFactory | None = None,
        checkpoint_config: CheckpointConfig | None = None,
        name: str | None = None,
        path: str | None = None,
    ) -> None:
        self.trainable_name = trainable_name
        self.trial_id = trial_id
        self.config = config or {}
        self.evaluated_params = evaluated_params or {}
        self.experiment_tag = experiment_tag
        self.placement_group_factory = placement_group_factory or PlacementGroupFactory([{"CPU": 1}])
        self.checkpoints = KeptCheckpoints(checkpoint_config or CheckpointConfig())
        self.custom_trial_name = name
        self.path = path
        self.status = Trial.PENDING
        self.last_result: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.error_file: str | None = None
        self.num_failures = 0
        # Number of the start; messages of earlier starts are dropped.
        self.attempt = 0
        # Whether a checkpoint of the pause is still being written.
        self.is_saving = False
        # The highest iteration that schedulers and searchers have seen.
        self.judged_iteration = 0
        self.checkpoint_index = 0
        self.histories: dict[str, MetricHistory] = {}
        # Where the next start begins, if that is not the latest checkpoint of its own.
        self.restore_from: Any = None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint."""
        latest = self.checkpoints.latest
        return latest.checkpoint if latest is not None else None

    @property
    def local_path(self) -> str | None:
        """The trial's directory."""
        return self.path

    @property
    def logdir(self) -> str | None:
        """The trial's directory, under its older name."""
        return self.path

    @property
    def storage(self) -> TrialStorage:
        """Where the trial's files lie."""
        return TrialStorage(self.path or "", self.path or "")

    @property
    def trial_dirname(self) -> str:
        """Name of the trial's directory."""
        return os.path.basename(self.path or "")

    @property
    def metric_analysis(self) -> dict[str, dict[str, float]]:
        """For each metric that is a number: max, min, avg, last, and averages of the last 5 and 10."""
        return {name: history.scopes() for name, history in self.histories.items()}

    def is_finished(self) -> bool:
        """Tell whether the trial has ended, well or not."""
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    def note(self, result: dict[str, Any]) -> None:
        """Take a result as the last one.

        Args:
            result: All that was reported and filled in.
        """
        self.last_result = result
        histories = self.histories
        for name, value in result.items():
            if name in _NOT_ANALYSED:
                continue
            if type(value) is not float and type(value) is not int:
                if isinstance(value, dict):
                    for inner, deep in flatten(value, f"{name}/").items():
                        self._add(inner, number(deep))
                    continue
                converted = number(value) if type(value) is not bool else None
                self._add(name, converted)
                continue
            history = histories.get(name)
            if history is None:
                histories[name] = MetricHistory(value)
            else:
                history.add(value)

    def _add(self, name: str, value: float | None) -> None:
        if value is None:
            return
        if name in self.histories:
            self.histories[name].add(value)
        else:
            self.histories[name] = MetricHistory(value)

    def set_status(self, status: str) -> None:
        """Set the state."""
        self.status = status

    def __str__(self) -> str:
        return self.custom_trial_name or f"{self.trainable_name}_{self.trial_id}"

    def __repr__(self) -> str:
        return str(self)
