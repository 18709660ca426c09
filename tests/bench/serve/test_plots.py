"""What the pictures of Serve show."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.result import Cost, Report, RowResult
from bench.serve.plots import draw_latencies, draw_throughput, latencies, throughput
from bench.serve.rows import FLOOR
from bench.serve.subjects.echo import name_of
from bench.statistics import Summary
from bench.subject import OURS, Unit
from tests.bench.serve.fakes import empty_report


def result(name: str, base: float, ours: float) -> RowResult:
    cost = Cost(Summary(ours, ours, ours, 1), None)
    failed = Cost(None, None, "no")
    return RowResult(name, "Echo", Unit.RATE.value, 0, "", FLOOR, base, {OURS: cost, "Peer": failed}, None)


def run() -> Report:
    rows = [result(name_of(1), 1e-4, 2e-4), result(name_of(32), 5e-5, 1e-4)]
    rows.append(result(f"{name_of(32)}: p99.9", 1e-3, 2e-3))
    return replace(empty_report(), rows=rows)


def test_throughput_is_drawn_of_who_was_measured() -> None:
    found = throughput(run())
    assert list(found) == [FLOOR, OURS]
    assert [label for label, _ in found[OURS]] == ["1", "32"]
    assert [value for _, value in found[FLOOR]] == pytest.approx([10_000, 20_000])


def test_latencies_are_milliseconds() -> None:
    assert {name: (label, round(value, 9)) for name, [(label, value)] in latencies(run()).items()} == {
        FLOOR: ("99.9", 1.0),
        OURS: ("99.9", 2.0),
    }


@pytest.mark.keeps_resources  # matplotlib keeps the font files open that it has used
def test_pictures_are_written(tmp_path: Path) -> None:
    for draw in (draw_throughput, draw_latencies):
        path = tmp_path / "picture.svg"
        draw(run(), path)
        assert path.stat().st_size > 5_000
        path.unlink()


def test_an_empty_run_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_throughput(empty_report(), tmp_path / "none.svg")
