"""The median rule: who ends, and what NaN and rare reports do to it."""

import warnings
from typing import Any

import pytest

from ray_async.tune.schedulers.median_stopping_rule import MedianStoppingRule
from tests.tune.simulation import NAN, Simulation


def ends(curves: list[list[float]], mode: str = "max", slots: int = 1, **options: Any) -> list[int]:
    options = {"time_attr": "training_iteration", "grace_period": 3, "min_samples_required": 3, **options}
    if mode == "min":
        curves = [[-value for value in curve] for curve in curves]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Simulation(MedianStoppingRule(**options), curves, slots, mode).run().ends()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_below_the_median_ends_after_the_grace_period_and_equal_goes_on(mode: str) -> None:
    curves = [[5.0] * 8] * 3
    assert ends([*curves, [1.0] * 8], mode) == [8, 8, 8, 3]
    assert ends([*curves, [5.0] * 8], mode) == [8, 8, 8, 8]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_early_nan_is_forgiven(mode: str) -> None:
    assert ends([*[[0.0] * 8] * 3, [NAN] + [100.0] * 7], mode) == [8, 8, 8, 8]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_throughout_ends_itself_and_changes_nothing_for_others(mode: str) -> None:
    good = [[5.0] * 8] * 3
    assert ends([*good, [NAN] * 8, [5.0] * 8, [4.0] * 8], mode) == [8, 8, 8, 3, 8, 3]


def test_too_few_samples_end_nobody() -> None:
    assert ends([[5.0] * 8, [5.0] * 8, [1.0] * 8]) == [8, 8, 8]


def test_one_that_reports_rarely_is_no_sample_before_it_does() -> None:
    # Two that report each step and one that has not yet reported after the grace period: two samples are too few.
    assert ends([[5.0] * 4, [5.0] * 4, [], [1.0] * 4]) == [4, 4, 0, 4]


def test_pausing_lets_those_that_wait_go_first() -> None:
    assert ends([*[[5.0] * 8] * 3, [1.0] * 8, [5.0] * 8], hard_stop=False) == [8] * 5
