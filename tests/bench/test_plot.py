"""What the picture shows."""

from pathlib import Path

import pytest

from bench.plot import distances, draw_plot
from bench.subject import OURS
from tests.bench.fakes import fake_contenders
from tests.bench.test_result import measure, report


def test_distances_are_multiples_of_what_is_allowed() -> None:
    row = measure(fake_contenders([]))[0]
    assert distances(row) == pytest.approx({OURS: 0.75, "Peer": 7.5})


def test_rows_without_a_measured_bar_have_none() -> None:
    assert distances(measure(fake_contenders([])[:2])[2]) == {}


def test_an_empty_run_cannot_be_drawn(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_plot(report([]), tmp_path / "none.png")


@pytest.mark.keeps_resources  # matplotlib keeps the font files open that it has used
def test_a_picture_is_written(tmp_path: Path) -> None:
    path = tmp_path / "bars.svg"
    draw_plot(report(measure(fake_contenders([]))), path)
    assert "ray_async against its bars" in path.read_text() or path.stat().st_size > 5_000
