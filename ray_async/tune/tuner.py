"""Tuner: a search that is set up, run and restored."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_async.air.config import RunConfig, ScalingConfig
from ray_async.keyword_names import names_keywords
from ray_async.tune.execution.renewal import renew_space
from ray_async.tune.execution.restoring import replay
from ray_async.tune.execution.search import Restored, Search
from ray_async.tune.execution.search_spec import SPEC_FILE, SearchSpec
from ray_async.tune.journal.journal import journal_size
from ray_async.tune.results.result_grid import ResultGrid
from ray_async.tune.storage.fetching import fetched, storage_of
from ray_async.tune.trainable.resolving import resolve, trainable_name
from ray_async.tune.tune_config import ResumeConfig, TuneConfig

__all__ = ("Tuner",)


class Tuner:
    """A search for the best config of a trainable.

    Args:
        trainable: A function of a config, a Trainable class, a registered name, or a trainer of `ray_async.train`,
            whose parameters are below ``"train_loop_config"``.
        param_space: The search space: a dict of values, domains (``tune.uniform(0, 1)``), grids and nested dicts.
        tune_config: How it is searched.
        run_config: How it is run, and where results go; a trainer's own by default.

    Raises:
        TuneError: No trainable.
        ValueError: Settings out of range.

    Example:
        >>> tuner = Tuner(lambda config: {"loss": config["x"] ** 2}, param_space={"x": tune.uniform(-1, 1)},
        ...               tune_config=TuneConfig(metric="loss", mode="min", num_samples=100))  # doctest: +SKIP
        >>> tuner.fit().get_best_result().config  # doctest: +SKIP
    """

    @names_keywords
    def __init__(
        self,
        trainable: Any = None,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
        _search: Search | None = None,
    ) -> None:
        self._search = _search
        self._fitted = False
        if _search is not None:
            return
        self._trainable = resolve(trainable)
        run = copy.copy(run_config) if run_config is not None else _own_run_config(trainable)
        self._spec = SearchSpec(
            trainable_name=trainable_name(trainable),
            space=_plain(param_space or {}),
            tune=copy.copy(tune_config) if tune_config is not None else TuneConfig(),
            run=run,
        )
        # A relative path means the directory of now.
        self._spec.pin_storage()

    def fit(self) -> ResultGrid:
        """Run the search.

        Returns:
            The outcomes of all trials; failures are among them.

        Raises:
            TuneError: No node can run such a trial, or the experiment of that name is running.
            BaseException: Whatever searcher, scheduler or callbacks raised.
        """
        if self._search is None:
            self._search = Search(self._spec, self._trainable, self._spec.make_folder())
        elif self._fitted:
            # Another search with the same settings: searcher and scheduler as they were before the first one.
            packed = self._search.packed or Path(self._search.folder, SPEC_FILE).read_bytes()
            self._spec = pickle.loads(packed).anew()
            self._search = Search(self._spec, self._trainable, self._spec.make_folder())
        self._fitted = True
        self._search.run()
        return self.get_results()

    def get_results(self) -> ResultGrid:
        """The outcomes, after `fit` or `restore`.

        Raises:
            RuntimeError: Neither was called.
        """
        if self._search is None:
            raise RuntimeError("there are no results yet: call fit() first, or restore() an experiment")
        tune = self._search.spec.tune
        scheduler = self._search.state.scheduler
        metric = tune.metric or scheduler.metric
        mode = tune.mode or scheduler._mode
        return ResultGrid(self._search.trials, self._search.folder, metric, mode, self._search.remote)

    @classmethod
    def restore(
        cls,
        path: str | os.PathLike[str],
        trainable: Any,
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        param_space: Mapping[str, Any] | None = None,
        storage_filesystem: Any = None,
        _resume_config: ResumeConfig | None = None,
    ) -> Tuner:
        """A search that was interrupted, or has ended, with all that it knew; `fit` goes on with it.

        Args:
            path: The experiment's directory, wherever it lies by now.
            trainable: What its trials run.
            resume_unfinished: Whether trials that had not ended go on.
            resume_errored: Whether failed trials go on from their latest checkpoints.
            restart_errored: Whether failed trials begin anew.
            param_space: The same search space, with other objects in it: unfinished trials get these. What was drawn
                stays.
            storage_filesystem: A file system of pyarrow or fsspec for that path; a URI needs none.

        Raises:
            TuneError: There is no experiment, or it is running.
            ValueError: A search space with other keys, or with more or fewer values to choose from.
        """
        folder, storage = fetched(path, storage_filesystem)
        found = resolve(trainable)
        spec = SearchSpec.load(folder)
        if storage is not None:
            # It may have moved since.
            spec.run.storage_path = storage.path.rpartition("/")[0]
            spec.run.storage_filesystem = storage.filesystem
        else:
            spec.run.storage_path, spec.run.storage_filesystem = os.path.dirname(folder), None
        packed, renewal = b"", None
        if param_space is not None:
            spec.space, renewal = renew_space(spec.space, _plain(param_space))
        if renewal:
            spec.renewals = (*spec.renewals, renewal)
            # Searcher and scheduler are as they were before the search began.
            packed = spec.pack()
        plan = _resume_config or ResumeConfig(
            unfinished="resume" if resume_unfinished else "skip",
            errored="restart" if restart_errored else "resume" if resume_errored else "skip",
        )
        state = spec.state(found, folder)
        size = journal_size(folder)
        replay(state, folder, spec.renewals, anew=bool(renewal), plan=(plan.errored, plan.unfinished))
        restored = Restored(state, plan.errored, plan.unfinished, size, packed)
        tuner = cls(_search=Search(spec, found, folder, restored))
        tuner._trainable, tuner._spec = found, spec
        return tuner

    @classmethod
    def can_restore(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> bool:
        """Tell whether a directory holds an experiment.

        Args:
            path: The directory.
            storage_filesystem: A file system of pyarrow or fsspec for that path; a URI needs none.
        """
        folder, storage = storage_of(path, storage_filesystem)
        return os.path.exists(os.path.join(folder, SPEC_FILE)) or (storage is not None and storage.holds(SPEC_FILE))


def _own_run_config(trainable: Any) -> RunConfig:
    """The settings of a trainer, less those callbacks that its workers' reports go to; else those by default."""
    own = getattr(trainable, "run_config", None)
    if not isinstance(own, RunConfig):
        return RunConfig()
    callbacks = [callback for callback in own.callbacks or () if not hasattr(callback, "after_report")]
    return dataclasses.replace(own, callbacks=callbacks)


def _plain(space: Mapping[str, Any]) -> dict[str, Any]:
    """A search space with its config of workers as a dict, in which domains are found."""
    return {name: dict(vars(part)) if isinstance(part, ScalingConfig) else part for name, part in space.items()}
