"""The Markdown table."""

from dataclasses import replace

from bench.subject import OURS
from bench.table import render_table
from tests.bench.fakes import fake_contenders
from tests.bench.test_result import measure, report


def cells(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_are_ratios_to_their_base() -> None:
    text = render_table(report(measure(fake_contenders([]))))
    assert cells(text, "what") == ["what", "1 =", OURS, f"{OURS} measured", "Peer", "bar", "met"]
    assert cells(text, "sync") == ["sync", "C trip (20 s)", "1.5x", "30 s", "15x", "≤ 2x C trip", "yes"]
    assert cells(text, "sync, CPU")[-1] == "**no**"
    assert cells(text, "put")[1:5] == [OURS, "1x", "0.5/s", "6x (count 10)"]


def test_failures_are_shown() -> None:
    contenders = fake_contenders([])
    contenders[1].costs["put"] = []
    row = cells(render_table(report(measure(contenders))), "put")
    assert (row[2], row[-1]) == ("failed", "not measured")


def test_contenders_that_measured_nothing_have_no_column() -> None:
    text = render_table(report(measure(fake_contenders([])[:2])))
    assert "Peer" not in cells(text, "what")


def test_the_caption_describes_the_machine_and_marks_smoke_runs() -> None:
    found = report(measure(fake_contenders([])))
    found = replace(found, machine={"processor": "A chip", "cores": 2, "python": "CPython 3.11"})
    caption = render_table(found).splitlines()[-1]
    assert "A chip, 2 cores; CPython 3.11" in caption
    assert "Peer 2" in caption
    assert "mean nothing" not in caption
    assert "mean nothing" in render_table(replace(found, quick=True)).splitlines()[-1]
