"""Replaces what stands between two markers of a document by a table, of all rows or of those that the marker names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

__all__ = ("BEGIN", "END", "MarkerError", "replace_between_markers", "update_document")

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"
_BEGIN = re.compile(r"<!-- benchmarks: begin(?: \| (?P<rows>[^>]+?))? -->")

#: Makes the table of some rows, or of all where it is given none.
Render = Callable[[Sequence[str]], str]


class MarkerError(ValueError):
    """The document does not have each marker once, in order."""


def replace_between_markers(document: str, render: Render) -> str:
    """Put a table between the two markers of `document`, which stay; doing it twice changes nothing more.

    A first marker like ``<!-- benchmarks: begin | put | get -->`` wants these rows alone.

    Raises:
        MarkerError: the markers are missing, repeated or in the wrong order.

    Example: `replace_between_markers(f"{BEGIN}old{END}", lambda rows: "new") == f"{BEGIN}\\nnew\\n{END}"`.
    """
    found = list(_BEGIN.finditer(document))
    if len(found) != 1 or document.count(END) != 1:
        raise MarkerError(f"the document needs the markers {BEGIN!r} and {END!r} once each")
    (begin,) = found
    end = document.index(END)
    if end < begin.end():
        raise MarkerError(f"the marker {END!r} comes before {BEGIN!r}")
    rows = begin["rows"].split(" | ") if begin["rows"] else []
    return f"{document[: begin.end()]}\n{render(rows).strip()}\n{document[end:]}"


def update_document(path: Path, render: Render) -> None:
    """Do that to a file; the file is untouched when its markers are wrong.

    Raises:
        MarkerError: as above.
        OSError: the file cannot be read or written.
    """
    path.write_text(replace_between_markers(path.read_text(), render))
