"""Scoring of trials: the value by which one is compared with others, over a scope."""

from __future__ import annotations

import math

from ray_async.tune.experiment.trial import Trial
from ray_async.tune.metric import check_mode, lookup, number, rank

__all__ = ("SCOPES", "best_of", "trial_value")

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")


def trial_value(trial: Trial, metric: str, mode: str, scope: str) -> float | None:
    """A trial's value.

    Args:
        trial: The trial.
        metric: The metric's name.
        mode: ``"min"`` or ``"max"``, for the scope ``"all"``.
        scope: The last value, the best of all, or an average.

    Returns:
        The value; None if the trial has none.
    """
    if scope == "last":
        return number(lookup(trial.last_result, metric))
    history = trial.histories.get(metric)
    if history is None:
        return None
    return history.scopes()[mode if scope == "all" else scope]


def best_of(trials: list[Trial], metric: str, mode: str, scope: str, filter_nan_and_inf: bool = True) -> Trial | None:
    """The trial whose value is best: NaN never before a number.

    Args:
        trials: The trials.
        metric: The metric's name.
        mode: ``"min"`` or ``"max"``.
        scope: The last value, the best of all, or an average.
        filter_nan_and_inf: Whether trials whose value is NaN, or infinitely bad, are left out.

    Returns:
        The trial, of equal ones the first; None if none has a value.

    Raises:
        ValueError: A mode or scope that there is not.
    """
    check_mode(mode, optional=False)
    if scope not in SCOPES:
        raise ValueError(f"scope must be one of {SCOPES}, but is {scope!r}")
    best: Trial | None = None
    best_rank: tuple[bool, float] = (False, -math.inf)
    for trial in trials:
        value = trial_value(trial, metric, mode, scope)
        if value is None:
            continue
        score = value if mode == "max" else -value
        if filter_nan_and_inf and (math.isnan(score) or score == -math.inf):
            continue
        if best is None or rank(score) > best_rank:
            best, best_rank = trial, rank(score)
    return best
