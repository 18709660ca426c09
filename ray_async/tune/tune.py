"""Run: a search in one call, as programs of Ray's older API make it."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig
from ray_async.keyword_names import names_keywords
from ray_async.tune.error import TuneError
from ray_async.tune.execution.search import Search
from ray_async.tune.execution.search_spec import SearchSpec
from ray_async.tune.experiment.experiment import Experiment
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.results.experiment_analysis import ExperimentAnalysis
from ray_async.tune.trainable.resolving import resolve, trainable_name
from ray_async.tune.tune_config import ResumeConfig, TuneConfig
from ray_async.tune.tuner import Tuner

__all__ = ("run", "run_experiments")

_REMOVED = ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR")


@names_keywords
def run(
    run_or_experiment: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: Any = None,
    time_budget_s: float | datetime.timedelta | None = None,
    config: Mapping[str, Any] | None = None,
    resources_per_trial: Any = None,
    num_samples: int = 1,
    storage_path: str | os.PathLike[str] | None = None,
    storage_filesystem: Any = None,
    search_alg: Any = None,
    scheduler: Any = None,
    checkpoint_config: CheckpointConfig | None = None,
    verbose: int | None = None,
    progress_reporter: Any = None,
    log_to_file: bool | str | tuple[str, str] = False,
    trial_name_creator: Callable[[Trial], str] | None = None,
    trial_dirname_creator: Callable[[Trial], str] | None = None,
    sync_config: Any = None,
    export_formats: Sequence[str] | None = None,
    max_failures: int = 0,
    fail_fast: bool | str = False,
    restore: str | None = None,
    resume: bool | str | None = None,
    resume_config: ResumeConfig | None = None,
    reuse_actors: bool = False,
    raise_on_failed_trial: bool = True,
    callbacks: Sequence[Any] | None = None,
    max_concurrent_trials: int | None = None,
    keep_checkpoints_num: int | None = None,
    checkpoint_score_attr: str | None = None,
    checkpoint_freq: int = 0,
    checkpoint_at_end: bool = False,
    chdir_to_trial_dir: Any = "DEPRECATED",
    local_dir: str | None = None,
) -> ExperimentAnalysis:
    """Search for the best config of a trainable.

    Args:
        run_or_experiment: A function of a config, a Trainable class, a registered name, or an `Experiment`.
        name: Name of the experiment, and of its directory.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        stop: What ends trials: thresholds by metric, a function, a stopper.
        time_budget_s: Seconds after which the search ends.
        config: The search space.
        resources_per_trial: What a trial takes, for instance ``{"cpu": 2, "gpu": 1}``; one CPU by default.
        num_samples: How often the space is sampled; -1: without end.
        storage_path: Directory of directories of experiments.
        storage_filesystem: A file system of pyarrow or fsspec for the storage's path.
        search_alg: A searcher, or its name.
        scheduler: A scheduler, or its name.
        checkpoint_config: Which checkpoints are made, and stay.
        verbose: How much is printed, from 0 to 3.
        progress_reporter: What prints the progress.
        log_to_file: Whether output of trials goes to files.
        trial_name_creator: Gives a trial's name.
        trial_dirname_creator: Gives the name of a trial's directory.
        sync_config: How results are copied to a storage elsewhere.
        export_formats: Formats in which a Trainable class exports its model (`export_model`) at a trial's end.
        max_failures: How often a trial that failed is started again; -1: without end.
        fail_fast: Whether the first failure ends the search; ``"raise"`` raises it too.
        restore: Directory of a checkpoint from which all trials begin.
        resume: Whether an experiment of that name goes on: True, ``"AUTO"`` (if there is one), with ``"+ERRORED"``.
        resume_config: What becomes of the trials of a search that goes on.
        reuse_actors: Whether an object of a Trainable class runs several trials.
        raise_on_failed_trial: Whether failed trials raise at the end.
        callbacks: What wants to know how the search goes on.
        max_concurrent_trials: How many trials run at once at most.
        keep_checkpoints_num: Older form of ``CheckpointConfig(num_to_keep=...)``.
        checkpoint_score_attr: Older form of ``checkpoint_score_attribute``; ``"min-"`` before a name reverses it.
        checkpoint_freq: Older form of ``checkpoint_frequency``.
        checkpoint_at_end: Older form of the same.
        chdir_to_trial_dir: Refused, as by Ray.
        local_dir: Refused, as by Ray: ``storage_path`` has taken its place.

    Raises:
        TuneError: Trials failed, or the search could not be run.
        ValueError: Settings out of range.

    Example:
        >>> analysis = run(train, config={"lr": tune.loguniform(1e-4, 1e-1)}, num_samples=20, metric="loss",
        ...                mode="min")  # doctest: +SKIP
        >>> analysis.best_config  # doctest: +SKIP
    """
    _refuse(local_dir, chdir_to_trial_dir)
    if config is not None and not isinstance(config, Mapping):
        raise ValueError(f"config is a dict, but got {type(config).__name__}")
    experiment = run_or_experiment if isinstance(run_or_experiment, Experiment) else None
    checkpoint = checkpoint_config or CheckpointConfig(
        num_to_keep=keep_checkpoints_num,
        checkpoint_score_attribute=checkpoint_score_attr.removeprefix("min-") if checkpoint_score_attr else None,
        checkpoint_score_order="min" if (checkpoint_score_attr or "").startswith("min-") else "max",
        checkpoint_frequency=checkpoint_freq,
        checkpoint_at_end=checkpoint_at_end,
    )
    run_config = RunConfig(
        name=name,
        storage_path=None if storage_path is None else os.fspath(storage_path),
        storage_filesystem=storage_filesystem,
        failure_config=FailureConfig(max_failures=max_failures, fail_fast=fail_fast),
        checkpoint_config=checkpoint,
        sync_config=sync_config,
        verbose=verbose,
        stop=stop,
        callbacks=callbacks,
        progress_reporter=progress_reporter,
        log_to_file=log_to_file,
    )
    tune_config = TuneConfig(
        mode=mode,
        metric=metric,
        search_alg=search_alg,
        scheduler=scheduler,
        num_samples=num_samples,
        max_concurrent_trials=max_concurrent_trials,
        time_budget_s=time_budget_s,
        reuse_actors=reuse_actors,
        trial_name_creator=trial_name_creator,
        trial_dirname_creator=trial_dirname_creator,
    )
    trainable, space, resources = run_or_experiment, config, resources_per_trial
    if experiment is not None:
        trainable, space, resources = experiment.apply(run_config, tune_config)
        export_formats, restore = export_formats or experiment.export_formats, restore or experiment.restore
    spec = SearchSpec(
        trainable_name(trainable),
        dict(space or {}),
        tune_config,
        run_config,
        resources,
        tuple(export_formats or ()),
        restore,
    )
    spec.pin_storage()
    found = resolve(trainable)
    search = _resumed(spec, found, resume, resume_config) or Search(spec, found, spec.make_folder())
    search.run()
    return _analysis(search, raise_on_failed_trial)


def _analysis(search: Search, raise_on_failed_trial: bool) -> ExperimentAnalysis:
    failed = [trial for trial in search.trials if trial.status == Trial.ERROR]
    if failed and raise_on_failed_trial:
        raise TuneError("Trials did not complete", failed) from failed[0].error
    tune, scheduler = search.spec.tune, search.state.scheduler
    return ExperimentAnalysis(
        search.folder,
        trials=search.trials,
        default_metric=tune.metric or scheduler.metric,
        default_mode=tune.mode or scheduler._mode,
        _storage=search.remote,
    )


def _resumed(spec: SearchSpec, trainable: Any, resume: Any, plan: ResumeConfig | None) -> Search | None:
    if not resume:
        return None
    words = resume.upper() if isinstance(resume, str) else "LOCAL"
    if not spec.run.name:
        raise ValueError("resume needs the name of the experiment")
    folder = os.path.join(spec.storage(), spec.run.name)
    if not Tuner.can_restore(folder):
        if words.startswith("AUTO"):
            return None
        raise TuneError(f"there is no experiment to resume in {folder}")
    errored = "restart" if "RESTART_ERRORED" in words else "resume" if "ERRORED" in words else "skip"
    tuner = Tuner.restore(
        folder, trainable, param_space=spec.space or None, _resume_config=plan or ResumeConfig(errored=errored)
    )
    search = tuner._search
    assert search is not None
    search.extend(spec.tune.num_samples)
    return search


def _refuse(local_dir: Any, chdir_to_trial_dir: Any) -> None:
    if local_dir is not None:
        raise DeprecationWarning("local_dir was removed: use storage_path")
    if chdir_to_trial_dir != "DEPRECATED":
        raise DeprecationWarning("chdir_to_trial_dir was removed: set RAY_CHDIR_TO_TRIAL_DIR=0 in the environment")
    for name in _REMOVED:
        if os.environ.get(name):
            raise DeprecationWarning(f"the environment variable {name} has no effect any more: use storage_path")


def run_experiments(
    experiments: Any,
    scheduler: Any = None,
    verbose: int | None = None,
    progress_reporter: Any = None,
    resume: bool | str | None = None,
    resume_config: ResumeConfig | None = None,
    reuse_actors: bool = False,
    raise_on_failed_trial: bool = True,
    concurrent: bool = True,
    callbacks: Sequence[Any] | None = None,
) -> list[Trial]:
    """Run one or several experiments, one after the other.

    Args:
        experiments: An `Experiment`, several of them, or their arguments as dicts by name.
        scheduler: A scheduler, or its name.
        verbose: How much is printed, from 0 to 3.
        progress_reporter: What prints the progress.
        resume: Whether experiments of these names go on.
        resume_config: What becomes of the trials of a search that goes on.
        reuse_actors: Whether an object of a Trainable class runs several trials.
        raise_on_failed_trial: Whether failed trials raise at the end.
        concurrent: Has no effect: experiments run one after the other.
        callbacks: What wants to know how the searches go on.

    Returns:
        All trials.

    Raises:
        TuneError: Trials failed, or there are no experiments.
    """
    trials: list[Trial] = []
    for experiment in Experiment.several(experiments):
        analysis = run(
            experiment,
            scheduler=scheduler,
            verbose=verbose,
            progress_reporter=progress_reporter,
            resume=resume,
            resume_config=resume_config,
            reuse_actors=reuse_actors,
            raise_on_failed_trial=raise_on_failed_trial,
            callbacks=callbacks,
        )
        trials += analysis.trials
    return trials
