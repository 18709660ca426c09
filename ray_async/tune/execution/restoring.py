"""Restoring of searches: the calls that a journal has, repeated."""

from __future__ import annotations

from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.execution.search_loop import replay_loss
from ray_async.tune.execution.search_spec import SearchSpec
from ray_async.tune.execution.state import SearchState
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.journal import read_journal
from ray_async.tune.tune_config import TuneConfig

__all__ = ("replay", "trials_of")


def replay(state: SearchState, folder: str) -> int:
    """Repeat what an experiment's journal has.

    Args:
        state: The search before its first trial.
        folder: The experiment's directory.

    Returns:
        How many records there were.
    """
    count = 0
    for record in read_journal(folder):
        count += 1
        kind = record[0]
        if kind == "trial":
            state.replay_trial(record[1])
        elif kind == "start":
            state.start(state.trials[record[1]])
        elif kind == "messages":
            state.handle(m.RunnerFacts(*record[1]), record[2])
        elif kind in ("lost", "returned"):
            replay_loss(state, record)
        elif kind == "config":
            # As it was: what a function of the user's explores need not be the same again.
            trial = state.trials[record[1]]
            trial.config, trial.experiment_tag = record[2], record[3]
        elif kind == "resources":
            state.cluster_resources = record[1]
        elif kind == "finish":
            state.end("the search ended")
            state.finish()
        elif kind == "again":
            state.begin_again(record[1], record[2])
        state.take_effects()
    return count


def trials_of(folder: str, trainable: Any = None) -> tuple[list[Trial], TuneConfig]:
    """The trials of an experiment's directory, as they were last.

    Args:
        folder: The directory.
        trainable: What they run, if it is at hand.
    """
    spec = SearchSpec.load(folder)
    state = spec.state(trainable, folder)
    replay(state, folder)
    state.interrupt()
    return state.get_trials(), spec.tune
