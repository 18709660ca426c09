"""What the pictures of Data show."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.data.plots import draw_memory, draw_scaling, memory, scaling
from bench.data.subjects.scaling import name_of
from bench.result import Cost, Report, RowResult
from bench.statistics import Summary
from bench.subject import OURS, Unit
from tests.bench.serve.fakes import empty_report


def result(name: str, ours: float) -> RowResult:
    costs = {OURS: Cost(Summary(ours, ours, ours, 1), None), "Polars": Cost(None, None, "no")}
    return RowResult(name, "x", Unit.TIME.value, 0, "", OURS, ours, costs, None)


def run() -> Report:
    rows = [result(name_of("sort", 1000), 0.1), result(name_of("sort", 10_000_000), 5.0)]
    return replace(empty_report(), rows=[*rows, result("a case: peak memory", 2e9)])


def test_points_are_those_that_were_measured() -> None:
    assert scaling(run(), "sort") == {OURS: [(1000, 0.1), (10_000_000, 5.0)]} and scaling(run(), "pipeline") == {}
    assert memory(run()) == {"a case": {OURS: 2e9}}


@pytest.mark.keeps_resources  # matplotlib keeps the font files open that it has used
def test_pictures_are_written(tmp_path: Path) -> None:
    for draw in (draw_scaling, draw_memory):
        path = tmp_path / "picture.svg"
        draw(run(), path)
        assert path.stat().st_size > 5_000
        path.unlink()


def test_an_empty_run_cannot_be_drawn(tmp_path: Path) -> None:
    for draw in (draw_scaling, draw_memory):
        with pytest.raises(ValueError, match="nothing to draw"):
            draw(empty_report(), tmp_path / "none.svg")
