"""Search: a spec, its trainable and its directory, from the first trial to the last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray_async as ray
from ray_async.air.config import SyncConfig
from ray_async.tune.callback import CallbackList
from ray_async.tune.error import TuneError
from ray_async.tune.execution.effects import Effect
from ray_async.tune.execution.pool import RunnerPool
from ray_async.tune.execution.search_loop import SearchLoop
from ray_async.tune.execution.search_spec import SPEC_FILE, SearchSpec
from ray_async.tune.execution.state import SearchState
from ray_async.tune.execution.trial_output import log_names
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.first_error import FirstError
from ray_async.tune.journal.journal import SearchJournal
from ray_async.tune.journal.pickling import lost_references
from ray_async.tune.search.basic_variant import BasicVariantGenerator
from ray_async.tune.search.search_generator import SearchGenerator
from ray_async.tune.storage.storage_mirror import StorageMirror
from ray_async.tune.trainable.captured import warn_of_large
from ray_async.tune.trainable.resolving import callable_resources, resources_of
from ray_async.tune.trainable.running import RunOptions

__all__ = ("Restored", "Search")

_logger = logging.getLogger("ray_async.tune")


@dataclass(frozen=True)
class Restored:
    """A search as its journal has it.

    Args:
        state: The search.
        errored: What becomes of failed trials.
        unfinished: What becomes of those that had not ended.
        size: Bytes of the journal.
        packed: The spec with what was given anew of the search space; empty where nothing was.
    """

    state: SearchState
    errored: str
    unfinished: str
    size: int
    packed: bytes = b""


class Search:
    """A search that can be run.

    Args:
        spec: What it is made of.
        trainable: What its trials run.
        folder: The experiment's directory.
        restored: Its state, if it is restored.
    """

    def __init__(
        self,
        spec: SearchSpec,
        trainable: Any,
        folder: str,
        restored: Restored | None = None,
    ) -> None:
        self.spec = spec
        self.folder = folder
        self._trainable = trainable
        self._restored = restored
        self.remote = spec.remote(folder)
        self.packed = b"" if restored is not None else spec.pack()
        self.state = restored.state if restored is not None else spec.state(trainable, folder)

    @property
    def trials(self) -> list[Trial]:
        """All trials."""
        return self.state.get_trials()

    def extend(self, num_samples: int) -> None:
        """Let a restored search have more samples.

        Args:
            num_samples: How many there are to be in all; fewer than there were change nothing.

        Raises:
            TuneError: Its search algorithm cannot do that.
        """
        if num_samples <= self.spec.tune.num_samples:
            return
        source = self.state.source
        if not isinstance(source, (BasicVariantGenerator, SearchGenerator)):
            raise TuneError(f"{type(source).__name__} cannot be extended to {num_samples} samples")
        source.extend(num_samples)
        self.spec.tune.num_samples = num_samples

    def run(self) -> None:
        """Run the search to its end, or to Ctrl-C.

        Raises:
            TuneError: It cannot be run, or the same experiment is running.
            BaseException: Whatever searcher, scheduler or callbacks raised; with ``fail_fast="raise"`` a trial's
                failure.
        """
        if not ray.is_initialized():
            if os.environ.get("TUNE_DISABLE_AUTO_INIT") == "1":
                raise RuntimeError(
                    "there is no session: call ray_async.init() first, since TUNE_DISABLE_AUTO_INIT is set"
                )
            ray.init()
        journal = SearchJournal(self.folder, anew=self._restored is None)
        callbacks = CallbackList(self.spec, self.folder)
        mirror = StorageMirror(self.remote, self.spec.run.sync_config or SyncConfig()) if self.remote else None
        try:
            self._begin(journal)
            if mirror is not None:
                mirror.start()
            callbacks.setup(self.state, restored=self._restored is not None)
            self._run(journal, callbacks, mirror)
        finally:
            journal.close()
        if self.spec.failure.fail_fast == "raise" and self.state.first_error is not None:
            raise self.state.first_error

    def _run(self, journal: SearchJournal, callbacks: CallbackList, mirror: StorageMirror | None) -> None:
        """Run the search, then whatever comes at its end: what fails there does not hide why the search ended."""
        first = FirstError()
        told = contextlib.ExitStack()
        with first:
            try:
                _run_async(lambda: self._main(journal, callbacks, mirror))
            except KeyboardInterrupt:
                self.state.interrupt()
                # At the very end: on a terminal the last table takes the place of what was written before it.
                told.callback(_logger.warning, "interrupted: %s", self._how_to_go_on())
            except BaseException as error:
                error.add_note(self._how_to_go_on())
                raise
        with told:
            with first:
                callbacks.on_experiment_end(self.state)
            if mirror is not None:
                with first:
                    mirror.close(self.trials)
        first.raise_it()

    def _how_to_go_on(self) -> str:
        return f"Tuner.restore({self.folder!r}, trainable) goes on where the search was"

    def _begin(self, journal: SearchJournal) -> None:
        restored = self._restored
        if restored is None:
            _write(os.path.join(self.folder, SPEC_FILE), self.packed)
            self.state.cluster_resources = dict(ray.cluster_resources())
            journal.append([("resources", self.state.cluster_resources)])
            return
        if journal.opened_size != restored.size:
            raise TuneError(f"the experiment in {self.folder} has gone on since it was restored: restore it again")
        self._refuse_lost_references()
        if restored.packed:
            _write(os.path.join(self.folder, SPEC_FILE), restored.packed)
            journal.append([("again", restored.errored, restored.unfinished, len(self.spec.renewals))])
        else:
            journal.append([("again", restored.errored, restored.unfinished)])

    def _refuse_lost_references(self) -> None:
        """Refuse trials that would wait for objects of a session that is no more."""
        configs = [(str(trial), trial.config) for trial in self.state.get_live_trials()]
        if self.state.more_trials_may_come():
            configs.append(("the search space", self.spec.space))
        for name, config in configs:
            for path, lost in lost_references(config):
                raise TuneError(
                    f"{name} has an {lost.kind} at {path!r} that cannot be had any more ({lost.reason}): give it anew, "
                    "by Tuner.restore(path, trainable, param_space={...}) with the same keys"
                )

    async def _main(self, journal: SearchJournal, callbacks: CallbackList, mirror: StorageMirror | None) -> None:
        spec = self.spec
        given = spec.resources if spec.resources is not None else getattr(self._trainable, "_tune_resources", None)
        first = None
        if not callable_resources(given):
            first = resources_of(self._trainable, given)(spec.space)
        options = RunOptions(
            checkpoint_frequency=spec.checkpoint.checkpoint_frequency,
            checkpoint_at_end=bool(spec.checkpoint.checkpoint_at_end),
            reuse=spec.tune.reuse_actors,
            change_directory=os.environ.get("RAY_CHDIR_TO_TRIAL_DIR", "1") != "0",
            export_formats=spec.export_formats,
            storage=self.remote,
            shared_directories=callbacks.are_there,
            experiment_name=os.path.basename(self.folder),
            log_files=log_names(spec.run.log_to_file),
        )
        warn_of_large(self._trainable)
        pool = RunnerPool(ray.put(self._trainable), options)

        def listen(effect: Effect) -> None:
            callbacks.take(effect)
            if mirror is not None:
                mirror.take(effect)

        loop = SearchLoop(self.state, pool, journal, listen, first, spec.time_budget)
        await loop.run()


def _write(path: str, data: bytes) -> None:
    with open(f"{path}.part", "wb") as file:
        file.write(data)
    os.replace(f"{path}.part", path)


def _run_async(main: Callable[[], Any]) -> None:
    """Run a coroutine to its end: here, or in a thread where this one has a running loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(main())
        return
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # handed to the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=run, name="tune")
    thread.start()
    thread.join()
    if outcome:
        raise outcome[0]
