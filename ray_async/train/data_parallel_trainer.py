"""Data parallel trainer: a training function that runs in several workers at once."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import ray_async as ray
from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray_async.air.result import Result
from ray_async.train import messages as m
from ray_async.train.backend import BackendConfig
from ray_async.train.data_config import DataConfig
from ray_async.train.error import TrainingFailedError, WorkerGroupError
from ray_async.train.lockstep import RunSink, follow
from ray_async.train.run_store import RunStore
from ray_async.train.trial_function import TrialFunction
from ray_async.train.worker_group import WorkerGroup
from ray_async.train.worker_places import reserved

__all__ = ("DataParallelTrainer",)

_logger = logging.getLogger("ray_async.train")


class DataParallelTrainer:
    """Runs a training function in several workers; `fit` does it now, and `tune.Tuner` makes trials of it.

    The function may call ``train.report``, which waits until all workers have, ``train.get_context()`` for its rank,
    ``train.get_checkpoint()`` and ``train.get_dataset_shard()``.

    Args:
        train_loop_per_worker: A function of nothing or of a config, or a coroutine function.
        train_loop_config: The config.
        backend_config: What a library needs on all workers.
        scaling_config: How many workers there are, and what each takes.
        run_config: Where results go, how failures are met, which checkpoints stay.
        datasets: Datasets by name, which `train.get_dataset_shard` gives to the workers.
        dataset_config: How these are divided.
        resume_from_checkpoint: A checkpoint to begin with.
        metadata: Values that are stored with each checkpoint.
        validation_config: Refused: validation beside training is not there.

    Raises:
        ValueError: A function that takes more than a config, or ``validation_config``.

    Example:
        >>> def loop(config):
        ...     for epoch in range(config["epochs"]):
        ...         train.report({"epoch": epoch})  # doctest: +SKIP
        >>> trainer = DataParallelTrainer(loop, train_loop_config={"epochs": 3},
        ...                               scaling_config=ScalingConfig(num_workers=2))
        >>> trainer.fit().metrics["epoch"]  # doctest: +SKIP
        2
    """

    #: Settings that a search space may name.
    TUNED: ClassVar = ("train_loop_config", "scaling_config", "datasets", "resume_from_checkpoint", "metadata")

    def __init__(
        self,
        train_loop_per_worker: Callable[..., Any],
        *,
        train_loop_config: Mapping[str, Any] | None = None,
        backend_config: BackendConfig | None = None,
        scaling_config: ScalingConfig | None = None,
        run_config: RunConfig | None = None,
        datasets: Mapping[str, Any] | None = None,
        dataset_config: DataConfig | None = None,
        resume_from_checkpoint: Checkpoint | None = None,
        metadata: Mapping[str, Any] | None = None,
        validation_config: Any = None,
    ) -> None:
        if validation_config is not None:
            raise ValueError("validation_config is not supported: validate in the training function")
        self._takes_config = _takes_config(train_loop_per_worker)
        self.train_loop_per_worker = train_loop_per_worker
        self.train_loop_config: dict[str, Any] = dict(train_loop_config or {})
        self.backend_config = backend_config or BackendConfig()
        self.scaling_config = scaling_config or ScalingConfig()
        self.run_config = run_config or RunConfig()
        self.datasets: dict[str, Any] = dict(datasets or {})
        self.dataset_config = dataset_config or DataConfig()
        self.resume_from_checkpoint = resume_from_checkpoint
        self.metadata = dict(metadata or {})

    def fit(self) -> Result:
        """Train now, again from the latest checkpoint where ``FailureConfig(max_failures=...)`` allows it.

        A run of a name that is there goes on from its latest checkpoint.

        Returns:
            The outcome: last metrics, checkpoints, and as ``return_value`` what the function of rank 0 has returned.

        Raises:
            TrainingFailedError: Workers failed or died, more often than allowed; or no node can hold one.
        """
        if not ray.is_initialized():
            ray.init()
        store = RunStore(self._folder(), self.run_config.checkpoint_config or CheckpointConfig())
        store.begin_with = self.resume_from_checkpoint
        failures, allowed = 0, (self.run_config.failure_config or FailureConfig()).max_failures
        while True:
            store.begin()
            try:
                with reserved(self.scaling_config) as group:
                    returned = self.train_workers(store, group, 0, m.RunFacts(os.path.basename(store.path)))
            except WorkerGroupError as error:
                failures += 1
                for callback in self.run_config.callbacks or ():
                    callback.after_exception(self.run_config, error.worker_failures)
                if failures > allowed >= 0:
                    raise
                _logger.warning("training starts again (failure %d): %s", failures, error)
            else:
                result = store.result()
                result.return_value = returned[0]
                return result

    def train_workers(self, sink: RunSink, group: Any, first: int, order: m.RunFacts) -> list[Any]:
        """Train once, in a placement group.

        Args:
            sink: Where reports go.
            group: The placement group.
            first: The bundle of the first worker.
            order: The run.

        Returns:
            What the functions have returned, by rank.

        Raises:
            WorkerGroupError: Workers failed or died.
        """
        scaling, backend = self.scaling_config, self.backend_config.backend_cls()
        workers = WorkerGroup(scaling.worker_bundle, scaling.num_workers, group, first)
        try:
            backend.on_start(workers, self.backend_config)
            backend.on_training_start(workers, self.backend_config)
            checkpoint = sink.get_checkpoint() or self.resume_from_checkpoint
            shards = self.dataset_config.configure(self.datasets, len(workers))
            workers.begin(self._function(), order, checkpoint.path if checkpoint is not None else None, shards)
            returned = follow(workers, sink, _user_callbacks(self.run_config), self.run_config, self.metadata)
            backend.on_shutdown(workers, self.backend_config)
        finally:
            workers.shutdown()
        return returned

    def as_trainable(self) -> TrialFunction:
        """What a trial of `tune.Tuner` runs: this trainer, with the trial's config over its own."""
        return TrialFunction(self)

    def with_config(self, config: Mapping[str, Any]) -> DataParallelTrainer:
        """The same with other settings.

        Args:
            config: Settings by name: ``train_loop_config``, whose keys are laid over those that are there,
                ``scaling_config`` and others of `TUNED`.

        Raises:
            ValueError: Another name.
        """
        unknown = set(config) - set(self.TUNED)
        if unknown:
            raise ValueError(
                f"a search over {type(self).__name__} tunes {', '.join(self.TUNED)}, but param_space has "
                f"{', '.join(sorted(unknown))}: parameters of the training function go into "
                "param_space={'train_loop_config': {...}}"
            )
        changed = copy.copy(self)
        for name, value in config.items():
            if name == "scaling_config" and isinstance(value, Mapping):
                value = ScalingConfig(**{**vars(self.scaling_config), **value})
            elif isinstance(value, Mapping):
                value = _merged(getattr(self, name) or {}, value)
            setattr(changed, name, value)
        return changed

    def _function(self) -> Callable[[], Any]:
        if self._takes_config:
            return functools.partial(self.train_loop_per_worker, self.train_loop_config)
        return self.train_loop_per_worker

    def _folder(self) -> str:
        storage = os.fspath(self.run_config.storage_path or os.environ.get("TUNE_STORAGE_PATH") or "~/ray_results")
        if "://" in storage or self.run_config.storage_filesystem is not None:
            raise TrainingFailedError(
                f"fit() writes to local directories, but storage_path is {storage!r}: tune.Tuner(trainer) writes to "
                "other storages"
            )
        name = self.run_config.name or f"{type(self).__name__}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
        return os.path.join(os.path.abspath(os.path.expanduser(storage)), name)


def _takes_config(function: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin: whether it takes a config is seen when it is called
        return False
    tried: tuple[tuple[Any, ...], ...] = (({},), ())
    for arguments in tried:
        try:
            signature.bind(*arguments)
        except TypeError:
            continue
        return bool(arguments)
    raise ValueError(f"train_loop_per_worker takes nothing or a config, but takes {signature}")


def _user_callbacks(run: RunConfig) -> list[Any]:
    return [callback for callback in run.callbacks or () if hasattr(callback, "after_report")]


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged
