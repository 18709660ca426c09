"""Replaces the part of a document between two markers."""

from __future__ import annotations

from pathlib import Path

__all__ = ("BEGIN", "END", "MarkerError", "replace_between_markers", "update_document")

BEGIN = "<!-- benchmarks: begin -->"
END = "<!-- benchmarks: end -->"


class MarkerError(ValueError):
    """The document does not have each marker once, in order."""


def replace_between_markers(document: str, content: str) -> str:
    """Put `content` between the two markers of `document`, which stay; doing it twice changes nothing more.

    Raises:
        MarkerError: the markers are missing, repeated or in the wrong order.

    Example: `replace_between_markers(f"{BEGIN}old{END}", "new") == f"{BEGIN}\\nnew\\n{END}"`.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise MarkerError(f"the document needs the markers {BEGIN!r} and {END!r} once each")
    before, _, rest = document.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise MarkerError(f"the marker {END!r} comes before {BEGIN!r}")
    return f"{before}{BEGIN}\n{content.strip()}\n{END}{after}"


def update_document(path: Path, content: str) -> None:
    """Do that to a file; the file is untouched when its markers are wrong.

    Raises:
        MarkerError: as above.
        OSError: the file cannot be read or written.
    """
    path.write_text(replace_between_markers(path.read_text(), content))
