"""Ratios and verdicts of rows, and their JSON."""

import pytest

from bench.harness import run_subject
from bench.result import Report, RowResult, evaluate
from bench.subject import OURS, Bar, Unit
from tests.bench.fakes import FakeContender, fake_contenders, fake_subject


def measure(contenders: list[FakeContender], rounds: int = 3) -> list[RowResult]:
    subject = fake_subject()
    plan, recording = run_subject(subject, contenders, rounds=rounds)
    return evaluate(subject, plan, recording, [contender.name for contender in contenders])


def report(rows: list[RowResult]) -> Report:
    return Report({"cores": 2}, "today", 3, False, {OURS: "1", "Peer": "2"}, {"Other": "no module"}, rows)


def test_drift_of_the_machine_cancels_in_the_ratio_to_the_floor() -> None:
    row = measure(fake_contenders([]))[0]
    ratio = row.costs[OURS].ratio
    assert ratio is not None
    assert (ratio.low, ratio.median, ratio.high) == (1.5, 1.5, 1.5)
    assert (row.base, row.base_cost) == ("C trip", 20.0)
    assert row.verdict is not None
    assert (row.verdict.value, row.verdict.met) == (1.5, True)


def test_a_bar_against_a_case_of_its_own() -> None:
    verdict = measure(fake_contenders([]))[1].verdict
    assert verdict is not None
    assert verdict.value == pytest.approx(1.3)
    assert verdict.met is False


def test_a_bar_against_a_peer_is_met_by_being_so_much_faster() -> None:
    row = measure(fake_contenders([]))[2]
    assert row.verdict is not None
    assert row.verdict.value == pytest.approx(1 / 6)
    assert row.verdict.met is True
    assert row.base == OURS
    peer = row.costs["Peer"].ratio
    assert peer is not None
    assert peer.median == 6.0


def test_without_the_peer_there_is_no_verdict() -> None:
    verdict = measure(fake_contenders([])[:2])[2].verdict
    assert verdict is not None
    assert (verdict.value, verdict.met) == (None, None)


def test_fixed_bars() -> None:
    assert Bar.at_most(1 / 300_000, Unit.RATE).text == "≥ 300,000/s"
    assert Bar.at_most(0.05, Unit.TIME).text == "≤ 50 ms"
    assert Bar.at_most(40e6, Unit.BYTES).text == "≤ 40 MB"


@pytest.mark.parametrize(
    ("unit", "cost", "shown"),
    [
        (Unit.TIME, 2.5e-5, "25 µs"),
        (Unit.TIME, 3e-9, "3 ns"),
        (Unit.RATE, 1 / 412_345, "412,000/s"),
        (Unit.BANDWIDTH, 0.01, "10.00 GB/s"),
        (Unit.COUNT, 4.0, "4"),
    ],
)
def test_costs_are_shown_in_their_unit(unit: Unit, cost: float, shown: str) -> None:
    assert unit.show(cost, 100_000_000) == shown


def test_json_brings_back_the_same_report() -> None:
    found = report(measure(fake_contenders([])))
    assert Report.from_json(found.to_json()) == found


def test_failures_name_the_row_and_the_first_line_of_the_reason() -> None:
    contenders = fake_contenders([])
    contenders[1].costs["put"] = []
    rows = measure(contenders)
    assert report(rows).failures() == ["put: ray_async has no more rounds of put"]
    assert rows[2].costs[OURS].cost is None


def test_runs_of_different_subjects_are_one_table() -> None:
    first, second = measure(fake_contenders([])), measure(fake_contenders([]))
    alone = Report({"cores": 2}, "2026-01-02", 2, False, {OURS: "1"}, {}, second)
    joined = Report.joined([alone, report(first)])
    assert joined.rows == [*second, *first]
    assert (joined.rounds, joined.created, joined.versions) == (2, "today", {OURS: "1", "Peer": "2"})
    assert joined.rounds_in_words == "3 rounds"
    shorter = Report.joined([report(first), report(measure(fake_contenders([]), rounds=2))])
    assert shorter.rounds_in_words == "2 to 3 rounds"
