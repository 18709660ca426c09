"""State of a search: events in, effects out.

All decisions about trials are made here and in the searcher and the scheduler, without I/O and without a clock: what
happened comes in by calls, what is to be done goes out by `take_effects`. The same calls give the same state, so a
search is restored by repeating the calls that its journal has.

A trial's slot is the shell's business: `start` is called when there is one, and a trial that was told to stop or pause
keeps its slot until its runner has answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.effects import (
    CheckpointAdded,
    CheckpointRemoved,
    ConfigChanged,
    Effect,
    TrialAdded,
    TrialAnswered,
    TrialEnded,
    TrialRecovered,
    TrialReported,
    TrialStarted,
)
from ray_async.tune.execution.report_result import filled, missing_metric
from ray_async.tune.execution.settings import SearchSettings
from ray_async.tune.execution.trial_maker import TrialMaker
from ray_async.tune.execution.waiting_trials import WaitingTrials
from ray_async.tune.experiment.checkpoint_record import CheckpointRecord
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.schedulers.trial_scheduler import TrialScheduler
from ray_async.tune.search.search_algorithm import SearchAlgorithm, Suggestion

__all__ = ("SearchState",)


class SearchState:
    """All trials of a search, and what is known about them.

    Args:
        source: Makes trials.
        scheduler: Decides which trials go on.
        maker: Gives trials names, directories and resources.
        settings: What else decides.
    """

    def __init__(
        self, source: SearchAlgorithm, scheduler: TrialScheduler, maker: TrialMaker, settings: SearchSettings
    ) -> None:
        self.source = source
        self.scheduler = scheduler
        self.settings = settings
        self.trials: dict[str, Trial] = {}
        # Why the search ends before its trials have; None while it does not.
        self.end_reason: str | None = None
        self.first_error: BaseException | None = None
        # All that the session's nodes have: said by the shell, once, before the first trial.
        self.cluster_resources: dict[str, float] = {}
        self._maker = maker
        self._live: dict[str, Trial] = {}
        self._effects: list[Effect] = []
        # Trials that ran when the search was cut off: they go on before the scheduler is asked for others.
        self._cut_off: list[Trial] = []
        # A scheduler that takes trials as they come is not asked: the next one is found without looking at all of them.
        self._in_order = type(scheduler).choose_trial_to_run is TrialScheduler.choose_trial_to_run
        self._waiting = WaitingTrials()
        # Trials of whose checkpoints one stays until another trial has loaded it.
        self._donors: dict[str, Trial] = {}

    # What schedulers may ask and do: `TrialController`.

    def get_trials(self) -> list[Trial]:
        """All trials."""
        return list(self.trials.values())

    def get_live_trials(self) -> list[Trial]:
        """Trials that have not ended."""
        return list(self._live.values())

    def more_trials_may_come(self) -> bool:
        """Whether the search may still make trials."""
        return self.end_reason is None and not self.source.is_finished()

    def stop_trial(self, trial: Trial) -> None:
        """End a trial well, wherever it is."""
        if trial.is_finished():
            return
        if trial.status != Trial.RUNNING:
            self.scheduler.on_trial_remove(self, trial)
        self._stop(trial)

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """Pause a running trial."""
        if trial.status == Trial.RUNNING:
            self._pause(trial)

    def exploit(self, trial: Trial, donor: Trial, config: dict[str, Any], tag: str) -> None:
        """Let a trial go on from another one's latest checkpoint, with a config of its own.

        Args:
            trial: The trial.
            donor: The other one.
            config: The trial's new config.
            tag: The trial's new tag.
        """
        record = donor.latest
        trial.config = config
        trial.experiment_tag = tag
        if record is not None:
            trial.restore_from = record
            donor.checkpoints.pinned.append(record)
            self._donors[donor.trial_id] = donor
            trial.judged_iteration = record.iteration
        self._effects.append(ConfigChanged(trial))
        if trial.status == Trial.RUNNING:
            self._wait(trial, Trial.PAUSED)
            trial.is_saving = True
            self._answer(trial, m.DROP)

    def save_trial(self, trial: Trial) -> None:
        """Ask a running trial of a class for a checkpoint; functions report theirs by themselves."""
        if trial.status == Trial.RUNNING:
            self._answer(trial, m.SAVE)

    # Making and starting trials.

    def choose(self) -> Trial | None:
        """The trial that is to start or to go on next; None if there is none now."""
        if self.end_reason is not None:
            return None
        self._look_ahead()
        while self._cut_off:
            first = self._cut_off.pop(0)
            if first.status == Trial.PENDING:
                return first
        trial = self._chosen()
        if trial is None and (made := self._make()) is not None:
            trial = self._chosen() or made
        return trial if trial is not None and not trial.is_saving else None

    def _chosen(self) -> Trial | None:
        return self._waiting.first() if self._in_order else self.scheduler.choose_trial_to_run(self)

    def _wait(self, trial: Trial, status: str) -> None:
        trial.status = status
        self._waiting.add(trial)

    def _look_ahead(self) -> None:
        ahead = 1 if self.source.learns else self.scheduler.lookahead
        if ahead <= 1:
            return
        pending = sum(trial.status == Trial.PENDING for trial in self._live.values())
        while pending < ahead and self._make() is not None:
            pending += 1

    def _make(self) -> Trial | None:
        suggestion = self.source.next_suggestion()
        return None if suggestion is None else self._add(suggestion)

    def _add(self, suggestion: Suggestion) -> Trial:
        trial = self._maker.make(suggestion)
        self._waiting.add(trial)
        self.trials[trial.trial_id] = self._live[trial.trial_id] = trial
        self.scheduler.on_trial_add(self, trial)
        self._effects.append(TrialAdded(trial, suggestion))
        return trial

    def start(self, trial: Trial) -> None:
        """Note that a trial starts, or goes on.

        Args:
            trial: The trial.
        """
        trial.status = Trial.RUNNING
        trial.attempt += 1
        self._effects.append(TrialStarted(trial))

    def order(self, trial: Trial) -> m.TrialOrder:
        """What a runner needs to run a trial that has started.

        Args:
            trial: The trial.
        """
        record = trial.restore_from or trial.latest
        judged = self.scheduler.judges or not self.settings.stop.is_empty
        return m.TrialOrder(
            trial_id=trial.trial_id,
            attempt=trial.attempt,
            config=trial.config,
            path=trial.path or "",
            name=str(trial),
            iteration=record.iteration if record else 0,
            time_total=record.time_total if record else 0.0,
            checkpoint=record.checkpoint.path if record else None,
            checkpoint_index=trial.checkpoint_index,
            lockstep=self.scheduler.lockstep,
            judged=judged,
            verdicts_at=self.scheduler.verdicts_at(trial) if self.settings.stop.is_empty else None,
        )

    @property
    def is_over(self) -> bool:
        """Whether nothing runs, and nothing will."""
        if self.end_reason is not None:
            return not any(trial.status == Trial.RUNNING for trial in self._live.values())
        return not self._live and self.source.is_finished()

    @property
    def waits_for_suggestions(self) -> bool:
        """Whether no trial lives, and the searcher has given none though it may."""
        return self.end_reason is None and not self._live and not self.source.is_finished()

    # What runners say.

    def handle(self, facts: m.RunnerFacts, arrived: Sequence[Any]) -> None:
        """Take messages of a runner.

        Args:
            facts: The process that the runner is.
            arrived: Its messages, in order.
        """
        for message in arrived:
            kind = message[0]
            if kind == m.RETURNED:
                for trial_id in message[1]:
                    self._unstart(trial_id)
                continue
            trial = self.trials.get(message[1])
            # A message of an earlier start, or of a trial that has ended by now.
            if trial is None or message[2] != trial.attempt:
                continue
            if kind == m.REPORT:
                if trial.status == Trial.RUNNING:
                    self._report(trial, m.TrialReport._make(message), facts)
            elif kind in (m.PAUSED, m.STOPPED):
                trial.is_saving = False
            elif kind == m.SAVED:
                self._saved(trial, m.Saved(*message))
            elif trial.status == Trial.RUNNING:
                if kind == m.DONE:
                    self._done(trial)
                elif kind == m.FAILED:
                    self.fail(trial, m.error_of(message[3]))

    def _unstart(self, trial_id: str) -> None:
        trial = self.trials[trial_id]
        if trial.status == Trial.RUNNING:
            self._wait(trial, Trial.PENDING)
        trial.is_saving = False

    def _report(self, trial: Trial, report: m.TrialReport, facts: m.RunnerFacts) -> None:
        result = filled(report, facts, trial.config, trial.experiment_tag)
        if report.checkpoint is not None:
            self._checkpoint(trial, report.checkpoint, result, report.iteration, report.time_total)
        elif trial.restore_from is not None:
            self._unpin(trial)
        trial.note(result)
        missing = missing_metric(result, self.settings.required) if self.settings.strict_metrics else None
        if missing is not None:
            self._effects.append(TrialReported(trial, result))
            self._answer(trial, m.STOP)
            self.fail(trial, missing)
            return
        again = report.iteration <= trial.judged_iteration
        trial.judged_iteration = max(report.iteration, trial.judged_iteration)
        stop = self.settings.stop
        # Stoppers see each result, also one that ends its trial anyway.
        if (not stop.is_empty and stop.ends(trial.trial_id, result)) or result["done"]:
            result["done"] = True
            self._effects.append(TrialReported(trial, result))
            if not report.done:
                self._answer(trial, m.STOP)
            self._complete(trial, result, stopped=False)
        else:
            self._judge(trial, result, again)
        if not stop.is_empty and stop.ends_all():
            self.end("a stopper ended the search")

    def _judge(self, trial: Trial, result: dict[str, Any], again: bool) -> None:
        decision = TrialScheduler.CONTINUE
        if not again:
            decision = self.scheduler.on_trial_result(self, trial, result)
        if decision == TrialScheduler.STOP and trial.status == Trial.RUNNING:
            result["done"] = True
        self._effects.append(TrialReported(trial, result))
        if trial.status != Trial.RUNNING and not trial.is_finished():
            # The scheduler has paused it by itself.
            return
        if decision == TrialScheduler.STOP:
            self._stop(trial)
            return
        if not again:
            self.source.on_trial_result(trial.trial_id, result)
        if decision == TrialScheduler.PAUSE:
            self._pause(trial)

    def _checkpoint(self, trial: Trial, name: str, result: dict[str, Any], iteration: int, seconds: float) -> None:
        record = CheckpointRecord(Checkpoint(f"{trial.path}/{name}"), result, iteration, seconds)
        trial.checkpoint_index = int(name.rpartition("_")[2]) + 1
        self._unpin(trial)
        gone = trial.checkpoints.add(record)
        self._effects.append(CheckpointAdded(trial, record))
        self._effects += [CheckpointRemoved(trial, old) for old in gone]

    def _unpin(self, trial: Trial) -> None:
        """Let go of the donor's checkpoint that the trial has loaded by now."""
        record, trial.restore_from = trial.restore_from, None
        if record is None:
            return
        for donor in list(self._donors.values()):
            pinned = donor.checkpoints.pinned
            if record in pinned:
                pinned.remove(record)
                self._effects += [CheckpointRemoved(donor, old) for old in donor.checkpoints.surplus()]
            if not pinned:
                del self._donors[donor.trial_id]

    def _saved(self, trial: Trial, saved: m.Saved) -> None:
        trial.is_saving = False
        self._checkpoint(trial, saved.checkpoint, dict(trial.last_result), saved.iteration, saved.time_total)

    # Ends.

    def _answer(self, trial: Trial, answer: str) -> None:
        self._effects.append(TrialAnswered(trial, trial.attempt, answer))

    def _pause(self, trial: Trial) -> None:
        self._wait(trial, Trial.PAUSED)
        trial.is_saving = True
        self._answer(trial, m.PAUSE)

    def _stop(self, trial: Trial) -> None:
        if trial.status == Trial.RUNNING:
            self._answer(trial, m.STOP)
        trial.last_result["done"] = True
        early = not self.scheduler.is_full_length(trial, trial.last_result)
        self._complete(trial, trial.last_result, stopped=early)

    def _done(self, trial: Trial) -> None:
        trial.last_result["done"] = True
        self._complete(trial, trial.last_result, stopped=False)

    def _complete(self, trial: Trial, result: dict[str, Any], stopped: bool) -> None:
        if trial.restore_from is not None:
            self._unpin(trial)
        trial.status = Trial.TERMINATED
        trial.error = None
        self._live.pop(trial.trial_id, None)
        self.scheduler.on_trial_complete(self, trial, result)
        if stopped:
            self.source.on_trial_stopped(trial.trial_id, result)
        else:
            self.source.on_trial_complete(trial.trial_id, result)
        self._effects.append(TrialEnded(trial, failed=False))

    def fail(self, trial: Trial, error: BaseException) -> None:
        """Note that a trial has failed: it is started again if it may be, from its latest checkpoint.

        Args:
            trial: The trial.
            error: Its failure.
        """
        trial.num_failures += 1
        failures = self.settings.failure.max_failures
        trial.error = error
        if trial.num_failures <= failures or failures < 0:
            self._wait(trial, Trial.PENDING)
            trial.is_saving = False
            self._effects.append(TrialRecovered(trial, error))
            return
        if trial.restore_from is not None:
            self._unpin(trial)
        trial.status = Trial.ERROR
        self._live.pop(trial.trial_id, None)
        self.first_error = self.first_error or error
        self.scheduler.on_trial_error(self, trial)
        self.source.on_trial_complete(trial.trial_id, trial.last_result or None, error=True)
        self._effects.append(TrialEnded(trial, failed=True))
        if self.settings.failure.fail_fast:
            self.end(f"fail_fast: {trial} failed")

    def lose(self, trial: Trial, error: BaseException) -> None:
        """Note that a trial's runner is gone.

        Args:
            trial: The trial.
            error: What is known about the death.
        """
        if trial.status == Trial.RUNNING:
            self.fail(trial, error)
        trial.is_saving = False

    def give_back(self, trial: Trial) -> None:
        """Note that a trial was not started after all."""
        self._unstart(trial.trial_id)

    def interrupt(self) -> None:
        """Note that running trials were cut off; they go on when the search is restored."""
        for trial in self._live.values():
            trial.is_saving = False
            if trial.status == Trial.RUNNING:
                self._wait(trial, Trial.PENDING)

    def end(self, reason: str) -> None:
        """End the search: nothing more starts.

        Args:
            reason: Why.
        """
        self.end_reason = self.end_reason or reason

    def finish(self) -> None:
        """Count all live trials as ended, as after a time budget."""
        for trial in list(self._live.values()):
            self.stop_trial(trial)

    def replay_trial(self, suggestion: Suggestion) -> Trial:
        """Take a trial that was made before.

        Args:
            suggestion: Its id, config and drawn values.
        """
        self.source.replay(suggestion)
        return self._add(suggestion)

    def begin_again(self, errored: str, unfinished: str) -> None:
        """Note that the search is restored.

        Args:
            errored: What becomes of failed trials: ``"resume"``, ``"restart"`` or ``"skip"``.
            unfinished: What becomes of those that had not ended.
        """
        self.end_reason = None
        self._cut_off = [trial for trial in self._live.values() if trial.status == Trial.RUNNING]
        self.interrupt()
        self._effects.clear()
        for trial in list(self.trials.values()):
            plan = errored if trial.status == Trial.ERROR else unfinished
            if trial.status == Trial.TERMINATED or (trial.status == Trial.ERROR and plan == "skip"):
                continue
            if plan == "skip":
                self.stop_trial(trial)
                continue
            if trial.status == Trial.ERROR:
                trial.error, trial.num_failures = None, 0
                self._wait(trial, Trial.PENDING)
                self.first_error = None
                self.scheduler.on_trial_add(self, trial)
            if plan == "restart":
                self._wait(trial, Trial.PENDING)
                if trial.latest is not None:
                    trial.checkpoints.records.clear()
                trial.judged_iteration = 0
            self._live[trial.trial_id] = trial

    def parts(self) -> dict[str, Any]:
        """What the search holds beside its trials, for a snapshot: to be taken when all effects have been."""
        return {
            "folder": self._maker.folder,
            "live": list(self._live),
            "donors": list(self._donors),
            "source": self.source,
            "position": self.source.position(),
            "scheduler": self.scheduler,
            "stop": self.settings.stop,
            "ends": (self.end_reason, self.first_error),
            "cut_off": self._cut_off,
            "names": self._maker.names,
        }

    def take_parts(self, parts: dict[str, Any], trials: dict[str, Trial]) -> None:
        """Take what a search held when `parts` was called, in place of repeating its calls.

        Args:
            parts: What it held; its directory may be another one by now.
            trials: Its trials.
        """
        self.trials, self._cut_off = trials, parts["cut_off"]
        self._live = {trial_id: trials[trial_id] for trial_id in parts["live"]}
        self._donors = {trial_id: trials[trial_id] for trial_id in parts["donors"]}
        self.source, self.scheduler = parts["source"], parts["scheduler"]
        self.source.go_to(parts["position"])
        self.settings.stop = parts["stop"]
        self.end_reason, self.first_error = parts["ends"]
        self._maker.names = parts["names"]
        self._waiting = WaitingTrials()
        for trial in self.trials.values():
            trial.relocate(parts["folder"], self._maker.folder)
            if trial.status in (Trial.PENDING, Trial.PAUSED):
                self._waiting.add(trial)

    def take_effects(self) -> list[Effect]:
        """What is to be done, in order; each once."""
        effects, self._effects = self._effects, []
        return effects
