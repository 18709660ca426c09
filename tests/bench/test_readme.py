"""Replacing the table in a document."""

from pathlib import Path

import pytest

from bench.readme import BEGIN, END, MarkerError, replace_between_markers, update_document


def test_only_what_is_between_the_markers_changes() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_between_markers(document, lambda rows: "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_doing_it_twice_changes_nothing_more() -> None:
    once = replace_between_markers(f"{BEGIN}{END}", lambda rows: "| a |\n")
    assert replace_between_markers(once, lambda rows: "| a |\n") == once


def test_a_marker_names_the_rows_that_it_wants() -> None:
    begin = "<!-- benchmarks: begin | put, a list | get -->"
    document = f"{begin}\nold\n{END}"
    assert replace_between_markers(document, lambda rows: "; ".join(rows)) == f"{begin}\nput, a list; get\n{END}"
    assert replace_between_markers(f"{BEGIN}{END}", lambda rows: repr(rows)) == f"{BEGIN}\n[]\n{END}"


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_wrong_markers_leave_the_file_alone(document: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(document)
    with pytest.raises(MarkerError, match="marker"):
        update_document(path, lambda rows: "new")
    assert path.read_text() == document
