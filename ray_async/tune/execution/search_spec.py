"""Search spec: all that a search is made of, as it is kept beside its journal."""

from __future__ import annotations

import datetime
import os
import pickle
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig
from ray_async.tune.error import TuneError
from ray_async.tune.execution.renewal import Renewal
from ray_async.tune.execution.settings import SearchSettings
from ray_async.tune.execution.state import SearchState
from ray_async.tune.execution.stop_criteria import StopCriteria
from ray_async.tune.execution.trial_maker import TrialMaker
from ray_async.tune.experiment.checkpoint_record import saved_state
from ray_async.tune.journal.pickling import can_be_pickled, dumps
from ray_async.tune.schedulers.creation import create_scheduler
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialScheduler
from ray_async.tune.search.basic_variant import BasicVariantGenerator
from ray_async.tune.search.creation import create_searcher
from ray_async.tune.search.search_algorithm import SearchAlgorithm
from ray_async.tune.search.search_generator import SearchGenerator
from ray_async.tune.search.variant_generator import has_unresolved_values
from ray_async.tune.storage.remote_storage import RemoteStorage, located
from ray_async.tune.trainable.resolving import resources_of
from ray_async.tune.tune_config import TuneConfig

__all__ = ("SPEC_FILE", "SearchSpec")

SPEC_FILE = "tuner.pkl"


def _date() -> str:
    return time.strftime("%Y-%m-%d_%H-%M-%S")


@dataclass
class SearchSpec:
    """All that a search is made of, the trainable apart.

    Args:
        trainable_name: Name of what is run.
        space: The search space.
        tune: How it is searched.
        run: How it is run.
        resources: What a trial takes, as the user has said for this search.
        export_formats: Formats in which a class exports its model at a trial's end.
        restore: A checkpoint from which all trials begin.
        prefix: What ids of trials begin with.
        date: When it began, as names of directories have it.
        renewals: What restores have given anew of the search space, in order.
    """

    trainable_name: str
    space: dict[str, Any]
    tune: TuneConfig
    run: RunConfig
    resources: Any = None
    export_formats: tuple[str, ...] = ()
    restore: str | None = None
    prefix: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    date: str = field(default_factory=_date)
    renewals: tuple[Renewal, ...] = ()

    @property
    def time_budget(self) -> float | None:
        """Seconds after which the search ends."""
        budget = self.tune.time_budget_s
        return budget.total_seconds() if isinstance(budget, datetime.timedelta) else budget

    @property
    def failure(self) -> FailureConfig:
        """How failures are met."""
        return self.run.failure_config or FailureConfig()

    @property
    def checkpoint(self) -> CheckpointConfig:
        """Which checkpoints stay."""
        return self.run.checkpoint_config or CheckpointConfig()

    def _located(self) -> tuple[str, Any]:
        path = os.fspath(self.run.storage_path or os.environ.get("TUNE_STORAGE_PATH") or "~/ray_results")
        return located(path, self.run.storage_filesystem)

    def storage(self) -> str:
        """The local directory that holds the directories of experiments.

        Raises:
            TuneError: There is no file system for the storage's URI.
        """
        path, filesystem = self._located()
        if filesystem is not None:
            return RemoteStorage.of(path, filesystem).local
        return os.path.abspath(os.path.expanduser(path))

    def pin_storage(self) -> None:
        """Let a relative path mean the directory of now."""
        if self._located()[1] is None:
            self.run.storage_path = self.storage()

    def remote(self, folder: str) -> RemoteStorage | None:
        """The storage that an experiment is copied to; None if its local directory is where it is kept.

        Args:
            folder: The experiment's local directory.
        """
        path, filesystem = self._located()
        if filesystem is None:
            return None
        return RemoteStorage.of(path, filesystem).below(os.path.basename(folder))

    def make_folder(self) -> str:
        """Make the experiment's directory, and return its path."""
        storage = self.storage()
        if self.run.name:
            folder = os.path.join(storage, self.run.name)
            os.makedirs(folder, exist_ok=True)
            return folder
        os.makedirs(storage, exist_ok=True)
        base = os.path.join(storage, f"{self.trainable_name}_{self.date}")
        for attempt in range(1000):
            folder = base if not attempt else f"{base}_{attempt}"
            try:
                os.mkdir(folder)
            except FileExistsError:  # of another search that began in the same second
                continue
            return folder
        raise TuneError(f"there are a thousand experiments like {base}")

    def pack(self) -> bytes:
        """The spec as bytes: to be made before the search begins, since that changes searcher and scheduler.

        Raises:
            TuneError: Something in it cannot be pickled.
        """
        try:
            return dumps(self)
        except Exception as error:
            raise TuneError(
                f"the search cannot be saved, since {self._unpicklable()} cannot be pickled: {error}"
            ) from error

    def _unpicklable(self) -> str:
        parts = {f"param_space[{key!r}]": value for key, value in self.space.items()}
        parts |= {f"TuneConfig.{name}": value for name, value in vars(self.tune).items()}
        parts |= {f"RunConfig.{name}": value for name, value in vars(self.run).items()}
        bad = [name for name, value in parts.items() if not can_be_pickled(value)]
        return ", ".join(bad) or "it"

    def anew(self) -> SearchSpec:
        """The same for another search: with ids and a date of its own."""
        return SearchSpec(
            self.trainable_name, self.space, self.tune, self.run, self.resources, self.export_formats, self.restore
        )

    @classmethod
    def load(cls, folder: str) -> SearchSpec:
        """Read the spec of an experiment's directory.

        Args:
            folder: The directory.

        Raises:
            TuneError: It holds none.
        """
        path = Path(folder, SPEC_FILE)
        if not path.exists():
            raise TuneError(f"there is no experiment in {folder}: it holds no {SPEC_FILE}")
        spec = pickle.loads(path.read_bytes())
        assert isinstance(spec, cls)
        return spec

    def state(self, trainable: Any, folder: str) -> SearchState:
        """The search as it is before its first trial.

        Args:
            trainable: What is run, for what its trials take.
            folder: The experiment's directory.

        Raises:
            ValueError: Settings that contradict each other.
        """
        scheduler, source = self._scheduler(), self._source()
        metric, mode = self.tune.metric, self.tune.mode
        if not scheduler.set_search_properties(metric, mode):
            raise ValueError("metric and mode are given twice: to the scheduler and to the search; leave one out")
        taken = source.set_search_properties(metric, mode, self.space, num_samples=self.tune.num_samples)
        # A searcher that has its own is fine beside constants; what it would pass over must not be there.
        own = getattr(source, "searcher", None)
        twice = own is not None and ((metric and own.metric) or (mode and own.mode))
        if not taken and (twice or has_unresolved_values(self.space)):
            raise ValueError(
                "metric, mode or the search space are given twice: to the searcher and to the search; leave one out"
            )
        source.setup(self.space, self.tune.num_samples, self.prefix)
        settings = SearchSettings(
            metric=metric,
            mode=mode,
            stop=StopCriteria(self.run.stop),
            failure=self.failure,
            checkpoint=self.checkpoint,
            max_concurrent=self.tune.max_concurrent_trials or int(getattr(source, "max_concurrent", 0)),
            strict_metrics=os.environ.get("TUNE_DISABLE_STRICT_METRIC_CHECKING", "0") != "1",
            required=_required(metric, scheduler, source),
        )
        maker = TrialMaker(
            trainable_name=self.trainable_name,
            folder=folder,
            resources=resources_of(trainable, self.resources),
            checkpoint_config=self.checkpoint,
            date=self.date,
            name_creator=self.tune.trial_name_creator,
            dirname_creator=self.tune.trial_dirname_creator,
            begin_with=saved_state(self.restore) if self.restore else None,
        )
        return SearchState(source, scheduler, maker, settings)

    def _scheduler(self) -> TrialScheduler:
        given = self.tune.scheduler
        scheduler = create_scheduler(given) if isinstance(given, str) else given or FIFOScheduler()
        if not isinstance(scheduler, TrialScheduler):
            raise TuneError(f"a scheduler is a TrialScheduler or the name of one, but got {given!r}")
        return scheduler

    def _source(self) -> SearchAlgorithm:
        given = self.tune.search_alg
        searcher = create_searcher(given) if isinstance(given, str) else given
        if searcher is None:
            return BasicVariantGenerator()
        return searcher if isinstance(searcher, SearchAlgorithm) else SearchGenerator(searcher)


def _required(metric: str | None, scheduler: TrialScheduler, source: SearchAlgorithm) -> dict[str, str]:
    required: dict[str, str] = {}
    searcher = getattr(source, "searcher", None)
    if searcher is not None and searcher.metric:
        several = isinstance(searcher.metric, (list, tuple))
        for name in searcher.metric if several else [searcher.metric]:
            required[name] = type(searcher).__name__
    if scheduler.metric:
        required[scheduler.metric] = type(scheduler).__name__
    if metric:
        required[metric] = "the search"
    return required
