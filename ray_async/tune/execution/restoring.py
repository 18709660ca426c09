"""Restoring of searches: the calls that a journal has, repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.execution.renewal import Renewal
from ray_async.tune.execution.search_loop import replay_loss
from ray_async.tune.execution.search_spec import SearchSpec
from ray_async.tune.execution.state import SearchState
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.journal import journal_size, read_journal
from ray_async.tune.journal.snapshot import collector_paused, read_snapshot
from ray_async.tune.search.search_algorithm import Suggestion
from ray_async.tune.tune_config import TuneConfig

__all__ = ("replay", "trials_of")


def replay(
    state: SearchState,
    folder: str,
    renewals: Sequence[Renewal] = (),
    anew: bool = False,
    plan: tuple[str, str] | None = None,
) -> int:
    """Repeat what an experiment's journal has.

    Args:
        state: The search before its first trial.
        folder: The experiment's directory.
        renewals: What restores have given anew of its search space, in order.
        anew: Whether the last one of these is new, so that a snapshot does not know of it.
        plan: What becomes of failed and of unfinished trials, where the search goes on now.

    Returns:
        How many records were repeated: those behind the last snapshot.
    """
    start = 0
    snapshot = read_snapshot(folder, journal_size(folder)) if not anew else None
    if snapshot is not None:
        start, parts, trials = snapshot
        state.take_parts(parts, trials)
    configs = _Configs(renewals)
    with collector_paused():
        count = _repeat(state, read_journal(folder, start), configs)
    if plan is not None:
        state.begin_again(*plan)
        if anew:
            configs.keep_ended(state, len(renewals))
    return count


def _repeat(state: SearchState, records: Iterable[Any], configs: _Configs) -> int:
    """Make the calls of records, and return how many there were."""
    count = 0
    for record in records:
        count += 1
        kind = record[0]
        if kind == "trial":
            state.replay_trial(configs.renewed(Suggestion(*record[1:])))
        elif kind == "start":
            state.start(state.trials[record[1]])
        elif kind == "messages":
            state.handle(m.RunnerFacts(*record[1]), record[2])
        elif kind in ("lost", "returned"):
            replay_loss(state, record)
        elif kind == "config":
            # As it was: what a function of the user's explores need not be the same again.
            trial = state.trials[record[1]]
            trial.config, trial.experiment_tag = configs.latest(record[2]), record[3]
        elif kind == "resources":
            state.cluster_resources = record[1]
        elif kind == "finish":
            state.end("the search ended")
            state.finish()
        elif kind == "again":
            state.begin_again(record[1], record[2])
            configs.keep_ended(state, *record[3:])
        state.take_effects()
    return count


class _Configs:
    """Configs of a search whose space was given anew: the search has the latest, trials those that they ran with.

    Args:
        renewals: The renewals, in order.
    """

    def __init__(self, renewals: Sequence[Renewal]) -> None:
        self._renewals = renewals
        self._first: dict[str, dict[str, Any]] = {}

    def latest(self, config: dict[str, Any], count: int | None = None) -> dict[str, Any]:
        """A config after so many renewals, or after all."""
        for renewal in self._renewals[:count]:
            config = renewal.config(config)
        return config

    def renewed(self, suggestion: Suggestion) -> Suggestion:
        """A suggestion as the space has it now."""
        if not self._renewals:
            return suggestion
        self._first[suggestion.trial_id] = suggestion.config
        drawn = suggestion.drawn
        for renewal in self._renewals:
            drawn = renewal.drawn(drawn)
        return Suggestion(suggestion.trial_id, self.latest(suggestion.config), drawn)

    def keep_ended(self, state: SearchState, number: int = 0) -> None:
        """Let trials that have ended before a renewal show what they ran with.

        Args:
            state: The search.
            number: Which renewal comes now, from 1; 0: none.
        """
        if not number:
            return
        for trial_id in list(self._first):
            trial = state.trials.get(trial_id)
            if trial is not None and trial.is_finished():
                trial.config = self.latest(self._first.pop(trial_id), number - 1)
                if trial.last_result:
                    trial.last_result["config"] = trial.config


def trials_of(folder: str, trainable: Any = None) -> tuple[list[Trial], TuneConfig]:
    """The trials of an experiment's directory, as they were last.

    Args:
        folder: The directory.
        trainable: What they run, if it is at hand.
    """
    spec = SearchSpec.load(folder)
    state = spec.state(trainable, folder)
    replay(state, folder, spec.renewals)
    state.interrupt()
    return state.get_trials(), spec.tune
