"""The subjects hold together, and the command line knows them."""

import pytest

from bench.cli import parse_arguments
from bench.harness import groups
from bench.subjects import NAMES, all_subjects


def test_row_names_are_unique() -> None:
    names = [row.name for subject in all_subjects() for row in subject.rows]
    assert len(names) == len(set(names))


def test_each_file_holds_the_subject_of_its_name() -> None:
    assert tuple(subject.name for subject in all_subjects()) == NAMES


def test_rows_of_one_group_agree_on_the_sizes_of_peers() -> None:
    for subject in all_subjects():
        for group in groups(subject.rows, quick=False):
            alike = [row for row in subject.rows if row.case == group.case and row.params == group.params]
            assert len({tuple(row.for_peers.items()) for row in alike}) == 1


def test_a_floor_bar_is_about_the_floor_that_is_shown() -> None:
    for subject in all_subjects():
        for row in subject.rows:
            if row.bar and row.bar.reference and row.bar.reference.contender == "floors":
                assert row.floor == row.bar.reference.case


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--peers", "nobody"], ["--rounds", "0"]])
def test_unknown_names_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_arguments() -> None:
    options = parse_arguments(["--only", "memory", "--peers", "", "--rounds", "3"])
    assert (options.only, options.peers, options.rounds) == (["memory"], [], 3)
