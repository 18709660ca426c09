"""Medians and ratios."""

from bench.statistics import ratio_per_round, summarize


def test_summary_of_nothing_is_none() -> None:
    assert summarize([]) is None


def test_summary_takes_the_median_not_the_mean() -> None:
    summary = summarize([1.0, 100.0, 2.0])
    assert summary is not None
    assert (summary.median, summary.low, summary.high, summary.rounds) == (2.0, 1.0, 100.0, 3)


def test_ratios_are_taken_within_a_round() -> None:
    assert ratio_per_round({0: 2.0, 1: 80.0}, {0: 1.0, 1: 40.0}) == [2.0, 2.0]


def test_rounds_without_a_base_are_left_out() -> None:
    assert ratio_per_round({0: 2.0, 1: 3.0, 2: 4.0}, {0: 1.0, 2: 0.0}) == [2.0]
