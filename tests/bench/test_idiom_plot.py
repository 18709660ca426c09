"""What the picture of asyncio's idioms shows."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.idiom_plot import PLAIN, draw_idioms, rates
from bench.subject import OURS
from bench.subjects.asyncio_idioms import SUBJECT
from tests.bench.fakes import fake_contenders
from tests.bench.test_result import measure, report


def test_rates_are_those_of_floor_and_contenders() -> None:
    row = measure(fake_contenders([]))[0]
    found = rates(row)
    assert list(found)[:2] == [PLAIN, OURS]
    assert row.base_cost is not None
    assert found[PLAIN] == pytest.approx(1 / row.base_cost)
    assert found["Peer"] < found[OURS]


def test_other_subjects_are_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_idioms(report(measure(fake_contenders([]))), tmp_path / "none.png")


@pytest.mark.keeps_resources  # matplotlib keeps the font files open that it has used
def test_a_picture_is_written(tmp_path: Path) -> None:
    path = tmp_path / "idioms.svg"
    rows = [replace(row, subject=SUBJECT.title) for row in measure(fake_contenders([]))]
    draw_idioms(report(rows), path)
    assert path.stat().st_size > 5_000
