"""Answers of 10,000 small chunks: made by the replica, and by another one behind a handle."""

from bench.serve.rows import FLOOR, load_row
from bench.subject import Bar, Subject

__all__ = ("SUBJECT",)

SUBJECT = Subject(
    "streaming",
    "Streams of 10,000 chunks",
    (
        load_row("streams", "stream", 1, floor="bare_stream", bar=Bar.share_of_floor(0.9, "bare_stream", FLOOR)),
        load_row(
            "streams through a handle",
            "relay",
            1,
            floor="bare_stream",
            bar=Bar.share_of_floor(0.5, "bare_stream", FLOOR),
        ),
    ),
)
