"""Experiment: a search as a value, for `run` and `run_experiments`."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig
from ray_async.tune.error import TuneError
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.trainable.resolving import resolve
from ray_async.tune.tune_config import TuneConfig

__all__ = ("Experiment",)


class Experiment:
    """A search as a value.

    Args:
        name: Its name.
        run: A function of a config, a Trainable class, or a registered name.
        stop: What ends trials.
        time_budget_s: Seconds after which the search ends.
        config: The search space.
        resources_per_trial: What a trial takes.
        num_samples: How often the space is sampled.
        storage_path: Directory of directories of experiments.
        storage_filesystem: A file system of pyarrow or fsspec for that path.
        sync_config: How results are copied to a storage elsewhere.
        checkpoint_config: Which checkpoints are made, and stay.
        trial_name_creator: Gives a trial's name.
        trial_dirname_creator: Gives the name of a trial's directory.
        log_to_file: Whether output of trials goes to files.
        export_formats: Formats in which a Trainable class exports its model at a trial's end.
        max_failures: How often a trial that failed is started again.
        restore: A checkpoint from which all trials begin.

    Raises:
        TuneError: No trainable.
    """

    def __init__(
        self,
        name: str,
        run: Any,
        *,
        stop: Any = None,
        time_budget_s: float | datetime.timedelta | None = None,
        config: Mapping[str, Any] | None = None,
        resources_per_trial: Any = None,
        num_samples: int = 1,
        storage_path: str | os.PathLike[str] | None = None,
        storage_filesystem: Any = None,
        sync_config: Any = None,
        checkpoint_config: CheckpointConfig | dict[str, Any] | None = None,
        trial_name_creator: Callable[[Trial], str] | None = None,
        trial_dirname_creator: Callable[[Trial], str] | None = None,
        log_to_file: bool | str | tuple[str, str] = False,
        export_formats: Sequence[str] | None = None,
        max_failures: int = 0,
        restore: str | os.PathLike[str] | None = None,
    ) -> None:
        resolve(run)
        if isinstance(checkpoint_config, dict):
            checkpoint_config = CheckpointConfig(**checkpoint_config)
        self.name = name
        self.run = run
        self._space = dict(config or {})
        self._resources = resources_per_trial
        self.export_formats = tuple(export_formats or ())
        self.restore = None if restore is None else os.fspath(restore)
        self._search = {
            "time_budget_s": time_budget_s,
            "num_samples": num_samples,
            "trial_name_creator": trial_name_creator,
            "trial_dirname_creator": trial_dirname_creator,
        }
        self._run = {
            "name": name,
            "stop": stop,
            "storage_path": None if storage_path is None else os.fspath(storage_path),
            "storage_filesystem": storage_filesystem,
            "sync_config": sync_config,
            "checkpoint_config": checkpoint_config,
            "log_to_file": log_to_file,
            "failure_config": FailureConfig(max_failures=max_failures) if max_failures else None,
        }

    @property
    def space(self) -> dict[str, Any]:
        """The search space."""
        return self._space

    @property
    def num_samples(self) -> int:
        """How often the space is sampled."""
        found: Any = self._search["num_samples"]
        return int(found)

    def apply(self, run_config: RunConfig, tune_config: TuneConfig) -> tuple[Any, dict[str, Any], Any]:
        """Put this experiment's settings into those of a call.

        Args:
            run_config: Settings of the run.
            tune_config: Settings of the search.

        Returns:
            Trainable, search space, and what a trial takes.
        """
        for target, settings in ((run_config, self._run), (tune_config, self._search)):
            for name, value in settings.items():
                if value not in (None, False):
                    setattr(target, name, value)
        return self.run, self._space, self._resources

    @classmethod
    def from_json(cls, name: str, spec: Mapping[str, Any]) -> Experiment:
        """An experiment of a dict of its arguments.

        Args:
            name: Its name.
            spec: The arguments, ``run`` among them.

        Raises:
            TuneError: There is no ``run``.
        """
        if "run" not in spec:
            raise TuneError(f"the experiment {name!r} has no trainable: give it as 'run'")
        return cls(name, **spec)

    @classmethod
    def several(cls, experiments: Any) -> Sequence[Experiment]:
        """Experiments of all forms that `run_experiments` takes.

        Args:
            experiments: An experiment, several of them, or their arguments as dicts by name.

        Raises:
            TuneError: None, or something else.
        """
        if isinstance(experiments, Experiment):
            return [experiments]
        if isinstance(experiments, Mapping):
            return [cls.from_json(name, spec) for name, spec in experiments.items()]
        if isinstance(experiments, Sequence) and experiments and all(isinstance(one, cls) for one in experiments):
            return experiments
        raise TuneError(
            f"run_experiments takes experiments, or their arguments as dicts by name, but got {experiments!r}"
        )
