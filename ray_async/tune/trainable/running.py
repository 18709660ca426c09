"""Running of trainables: functions, coroutines, generators and classes, each as a run of reports."""

from __future__ import annotations

import asyncio
import inspect
import logging
import numbers
import os
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from ray_async.air.session import Reported
from ray_async.tune.error import TrialStopped
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.mailbox import Mailbox
from ray_async.tune.execution.trial_session import TrialSession
from ray_async.tune.storage.remote_storage import RemoteStorage
from ray_async.tune.trainable.trainable import Trainable

__all__ = ("RunOptions", "TrainableRun")

_logger = logging.getLogger("ray_async.tune")


@dataclass(frozen=True)
class RunOptions:
    """How a trainable is run.

    Args:
        checkpoint_frequency: Iterations of a class from one checkpoint to the next; 0: none.
        checkpoint_at_end: Whether a class is saved at its end.
        reuse: Whether an object of a class runs several trials.
        change_directory: Whether the trial's directory is the working directory.
        shared_directories: Whether callbacks may write into the trials' directories.
        experiment_name: Name of the experiment.
        export_formats: Formats in which a class exports its model at the end.
        storage: Where checkpoints are copied to as they are reported; None: nowhere.
        log_files: Files for what trials print and log; None: none.
    """

    checkpoint_frequency: int = 0
    checkpoint_at_end: bool = False
    reuse: bool = False
    change_directory: bool = True
    shared_directories: bool = False
    experiment_name: str = ""
    export_formats: tuple[str, ...] = ()
    storage: RemoteStorage | None = None
    log_files: tuple[str, str] | None = None


class TrainableRun:
    """Runs one trainable again and again.

    Args:
        trainable: The function or class.
        options: How it is run.
    """

    def __init__(self, trainable: Any, options: RunOptions) -> None:
        self._trainable = trainable
        self._options = options
        self._kept: Trainable | None = None
        self.name = str(getattr(trainable, "__name__", type(trainable).__name__))

    @property
    def keeps_object(self) -> bool:
        """Whether an object of a class is kept for the next trial."""
        return self._kept is not None

    def run(self, session: TrialSession, mailbox: Mailbox) -> None:
        """Run a trial to its end.

        Args:
            session: The trial's session.
            mailbox: Where its answers come.

        Raises:
            TrialStopped: It was told to stop or to pause.
        """
        if inspect.isclass(self._trainable):
            self._run_class(session, mailbox)
            return
        outcome = self._trainable(session.order.config)
        if inspect.iscoroutine(outcome):
            outcome = asyncio.run(_finished(outcome))
        if inspect.isgenerator(outcome):
            for item in outcome:
                session.report(_metrics(item), None)
        elif inspect.isasyncgen(outcome):
            asyncio.run(_reported(outcome, session))
        elif outcome is not None and not isinstance(outcome, Reported):
            session.report(_metrics(outcome), None, done=True)

    def _run_class(self, session: TrialSession, mailbox: Mailbox) -> None:
        # A class is saved and paused between two steps, so it must not run ahead.
        session.exact = True
        trainable = self._instance(session)
        run = _ClassRun(trainable, session, mailbox, self._options)
        try:
            run.go()
        except BaseException as error:
            if not (self._options.reuse and isinstance(error, TrialStopped)):
                self._kept = None
            raise
        finally:
            if self._kept is None:
                trainable.stop()

    def _instance(self, session: TrialSession) -> Trainable:
        config = session.order.config
        if self._kept is not None:
            trainable, self._kept = self._kept, None
            trainable.trial = session.order
            if trainable.reset(config):
                self._kept = trainable
                return trainable
            trainable.stop()
        new: Trainable = self._trainable(config, trial=session.order)
        if self._options.reuse:
            self._kept = new
        return new


class _ClassRun:
    """One trial of a class.

    Args:
        trainable: The object.
        session: The trial's session.
        mailbox: Where its answers come.
        options: How it is run.
    """

    def __init__(self, trainable: Trainable, session: TrialSession, mailbox: Mailbox, options: RunOptions) -> None:
        self._trainable = trainable
        self._session = session
        self._mailbox = mailbox
        self._options = options
        self._saved_at = -1

    def go(self) -> None:
        """Step until the end."""
        trainable, session = self._trainable, self._session
        if session.order.checkpoint is not None:
            trainable.restore(session.order.checkpoint)
        trainable.iteration_base = session.iteration
        try:
            while not self._step():
                pass
        except TrialStopped:
            at_end = self._options.checkpoint_at_end and self._mailbox.answer != m.DROP
            if self._mailbox.answer == m.PAUSE or at_end:
                self._save(optional=self._mailbox.answer == m.PAUSE)
            if self._mailbox.answer == m.STOP:
                self._export_late()
            raise

    def _export(self) -> None:
        if self._options.export_formats:
            os.makedirs(self._session.order.path, exist_ok=True)
            self._trainable.export_model(list(self._options.export_formats), self._session.order.path)

    def _export_late(self) -> None:
        """Export the model of a trial that was stopped: its outcome is known by now, so a failure is told alone."""
        try:
            self._export()
        except Exception:  # of the user's code, whichever it is
            _logger.exception("the model of trial %s was not exported", self._session.order.trial_id)

    def _step(self) -> bool:
        result = self._trainable.train_once()
        done = bool(result.get("done"))
        if done:
            self._export()
        due = (
            self._options.checkpoint_frequency
            and (self._session.iteration + 1) % self._options.checkpoint_frequency == 0
        )
        wanted = bool(result.pop("should_checkpoint", False)) or due or (done and self._options.checkpoint_at_end)
        self._trainable.iteration_base = self._session.iteration + 1
        if wanted:
            self._report_saved(result, done)
        else:
            self._session.report(result, None, done=done)
        if self._mailbox.answer == m.SAVE:
            self._mailbox.take_answer()
            self._save()
        return done

    def _report_saved(self, result: dict[str, Any], done: bool) -> None:
        name, folder = self._session.new_checkpoint()
        self._trainable.save(folder)
        self._saved_at = self._session.iteration + 1
        self._session.report_stored(result, name, folder, done)

    def _save(self, optional: bool = False) -> None:
        session = self._session
        if self._saved_at == session.iteration or session.iteration == session.order.iteration:
            return
        if optional and not self._trainable.can_be_saved():
            return
        name, folder = session.new_checkpoint()
        self._trainable.save(folder)
        session.seal_checkpoint(name, folder)
        order = session.order
        saved = m.Saved(m.SAVED, order.trial_id, order.attempt, name, session.iteration, session.time_total)
        self._mailbox.send(tuple(saved), True)


async def _finished(outcome: Coroutine[Any, Any, Any]) -> Any:
    return await outcome


async def _reported(outcome: AsyncIterator[Any], session: TrialSession) -> None:
    async for item in outcome:
        session.report(_metrics(item), None)
        await session.judged()


def _metrics(value: Any) -> dict[str, Any]:
    """What a function has returned or yielded, as metrics."""
    if isinstance(value, dict):
        return value
    # NumPy's numbers are numbers by that class too; its booleans are none.
    if type(value) is not bool and isinstance(value, numbers.Number):
        return {"_metric": value}
    raise ValueError(f"a trainable returns or yields a dict of metrics, or one number, but this one gave {value!r}")
