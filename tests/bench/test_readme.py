"""Replacing the table in a document."""

from pathlib import Path

import pytest

from bench.readme import BEGIN, END, MarkerError, replace_between_markers, update_document


def test_only_what_is_between_the_markers_changes() -> None:
    document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert replace_between_markers(document, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_doing_it_twice_changes_nothing_more() -> None:
    once = replace_between_markers(f"{BEGIN}{END}", "| a |\n")
    assert replace_between_markers(once, "| a |\n") == once


@pytest.mark.parametrize("document", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_wrong_markers_leave_the_file_alone(document: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(document)
    with pytest.raises(MarkerError, match="marker"):
        update_document(path, "new")
    assert path.read_text() == document
