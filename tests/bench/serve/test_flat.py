"""What counts as growth."""

from dataclasses import replace

from bench.serve.flat import Sample, grown

REST = Sample(20.0, 30, 4, 10)


def test_noise_is_no_growth() -> None:
    samples = [{"replica": replace(REST, private_mb=20 + number % 3)} for number in range(12)]
    assert grown(samples) == []


def test_what_grows_is_named() -> None:
    samples = [{"replica": replace(REST, tasks=10 * number), "driver": REST} for number in range(12)]
    assert grown(samples) == ["replica: tasks from 15 to 95"]


def test_a_run_that_is_too_short_shows_nothing() -> None:
    assert grown([{"replica": REST}]) == []
