"""Trial: one config that is tried, its state and what it has reported."""

from __future__ import annotations

import operator
import os
from collections import deque
from typing import Any, NamedTuple

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig
from ray_async.tune.error import TuneError
from ray_async.tune.execution.report_result import FILLED
from ray_async.tune.experiment.checkpoint_record import CheckpointRecord, KeptCheckpoints
from ray_async.tune.metric import flatten, number
from ray_async.tune.placement_groups import PlacementGroupFactory

__all__ = ("ExportFormat", "MetricHistory", "Trial", "TrialStorage")


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

    # Thousands of these lie in memory; `__dict__` is made for those alone that somebody hangs something on.
    __slots__ = (
        "__dict__",
        "_checkpoint_config",
        "_checkpoints",
        "_first_result",
        "_histories",
        "attempt",
        "checkpoint_index",
        "config",
        "custom_trial_name",
        "error",
        "error_file",
        "evaluated_params",
        "experiment_tag",
        "is_saving",
        "judged_iteration",
        "last_result",
        "num_failures",
        "number",
        "path",
        "placement_group_factory",
        "restore_from",
        "status",
        "trainable_name",
        "trial_id",
    )

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
        self._checkpoint_config = checkpoint_config
        # Made when they are needed: of a trial that has none there is nothing.
        self._checkpoints: KeptCheckpoints | None = None
        self.custom_trial_name = name
        self.path = path
        self.status = Trial.PENDING
        self.last_result: dict[str, Any] = {}
        self.error: BaseException | None = None
        self.error_file: str | None = None
        self.num_failures = 0
        # Which of the experiment's trials it is.
        self.number = 0
        # Number of the start; messages of earlier starts are dropped.
        self.attempt = 0
        # Whether a checkpoint of the pause is still being written.
        self.is_saving = False
        # The highest iteration that schedulers and searchers have seen.
        self.judged_iteration = 0
        self.checkpoint_index = 0
        # Of a trial that has reported once, all that is to be remembered is in that result.
        self._first_result: dict[str, Any] | None = None
        self._histories: dict[str, MetricHistory] | None = None
        # Where the next start begins, if that is not the latest checkpoint of its own.
        self.restore_from: Any = None

    @property
    def checkpoints(self) -> KeptCheckpoints:
        """The checkpoints that are kept."""
        if self._checkpoints is None:
            self._checkpoints = KeptCheckpoints(self._checkpoint_config or CheckpointConfig())
        return self._checkpoints

    @property
    def latest(self) -> CheckpointRecord | None:
        """The record of the latest checkpoint."""
        return self._checkpoints.latest if self._checkpoints is not None else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint."""
        latest = self.latest
        return latest.checkpoint if latest is not None else None

    @property
    def histories(self) -> dict[str, MetricHistory]:
        """What is remembered of each metric that is a number."""
        if self._histories is None:
            self._histories = {}
            if self._first_result is not None:
                self._remember(self._first_result)
        return self._histories

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
        if self._histories is None and self._first_result is None:
            self._first_result = result
        else:
            self._remember(result)

    def _remember(self, result: dict[str, Any]) -> None:
        histories = self.histories
        for name, value in result.items():
            if name == "config":
                # The filled-in keys begin here; two of them are analysed.
                self._add("training_iteration", result["training_iteration"])
                self._add("time_total_s", result["time_total_s"])
                break
            if name in FILLED:
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

    def relocate(self, old: str, new: str) -> None:
        """Take note that the experiment's directory has moved.

        Args:
            old: Where it was.
            new: Where it is.
        """
        if old == new:
            return
        if self.path is not None:
            self.path = _moved(self.path, old, new)
        if self.error_file is not None:
            self.error_file = _moved(self.error_file, old, new)
        if self._checkpoints is None and self.restore_from is None:
            return
        records = [*self.checkpoints.records, *self.checkpoints.pinned]
        for record in [*records, self.restore_from] if self.restore_from is not None else records:
            record.checkpoint.path = _moved(record.checkpoint.path, old, new)

    @property
    def stands_alone(self) -> bool:
        """Whether nothing of a trial that has ended well is shared with others: checkpoints, say."""
        return (
            self.status == Trial.TERMINATED
            and self._checkpoints is None
            and self.restore_from is None
            and not self.__dict__
        )

    def packed(self) -> tuple[Any, ...]:
        """All that the trial holds, for `unpacked`."""
        return *_FIELDS(self), self.__dict__ or None

    @staticmethod
    def packed_place(name: str) -> int:
        """Where a field lies in what `packed` gives."""
        return _SLOTS.index(name)

    @staticmethod
    def unpacked(packed: tuple[Any, ...], trial: Trial | None = None) -> Trial:
        """A trial of what `packed` gave.

        Args:
            packed: What a trial held.
            trial: A trial that is to hold it; None: a new one.
        """
        made = trial if trial is not None else Trial.__new__(Trial)
        for name, value in zip(_SLOTS, packed, strict=False):
            setattr(made, name, value)
        if packed[-1]:
            made.__dict__.update(packed[-1])
        return made

    def set_status(self, status: str) -> None:
        """Set the state."""
        self.status = status

    def __str__(self) -> str:
        return self.custom_trial_name or f"{self.trainable_name}_{self.trial_id}"

    def __repr__(self) -> str:
        return str(self)


_SLOTS = tuple(name for name in Trial.__slots__ if name != "__dict__")
_FIELDS = operator.attrgetter(*_SLOTS)


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path.startswith(f"{old}/") else path
