"""The subjects of Serve hold together, and the command line knows them."""

from pathlib import Path

import pytest

from bench.harness import groups
from bench.serve.cli import main, parse_arguments
from bench.serve.subjects import NAMES, all_subjects
from bench.subject import FLOORS
from tests.bench.serve.fakes import empty_report


def test_each_file_holds_the_subject_of_its_name() -> None:
    assert tuple(subject.name for subject in all_subjects()) == NAMES


def test_row_names_are_unique() -> None:
    names = [row.name for subject in all_subjects() for row in subject.rows]
    assert len(names) == len(set(names))


def test_a_floor_bar_is_about_the_floor_and_the_metric_that_are_shown() -> None:
    for subject in all_subjects():
        for row in subject.rows:
            if row.bar and row.bar.reference and row.bar.reference.contender == FLOORS:
                assert (row.bar.reference.case, row.bar.reference.metric) == (row.floor, row.floor_metric)
                assert row.floor_metric == row.metric


def test_metrics_of_one_load_are_measured_at_once() -> None:
    echo = all_subjects()[0]
    assert len(groups(echo.rows, quick=False)) == len({row.params["connections"] for row in echo.rows})


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--peers", "nobody"], ["--rounds", "0"]])
def test_unknown_names_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_earlier_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text(empty_report().to_json())
    assert main(["--load", str(path), "--table", "--latencies", str(tmp_path / "none.svg")]) == 0
    printed = capsys.readouterr()
    assert "| what |" in printed.out
    assert "nothing to draw" in printed.err
