"""JSON by POST to two stages behind one; bare calls the same functions in one process."""

from bench.serve.rows import FLOOR, load_row, percentile_row
from bench.subject import Bar, Subject

__all__ = ("SUBJECT",)

BODY = {"body": '{"text": "  Ray Serve is EXCELLENT!  "}'}

_full, _alone = (
    load_row(f"two stages, {many}", "pipeline", count, floor="bare_pipeline", bar=bar, more=BODY)
    for many, count, bar in (
        ("32 connections", 32, Bar.share_of_floor(0.5, "bare_pipeline", FLOOR)),
        ("1 connection", 1, None),
    )
)

SUBJECT = Subject(
    "pipeline",
    "JSON through two stages",
    (
        _full,
        percentile_row(_full, "two stages, 32 connections: CPU time per request", "cpu"),
        percentile_row(_full, "two stages, 32 connections: p99", "p99"),
        _alone,
        percentile_row(_alone, "two stages, 1 connection: p50", "p50", Bar.of_floor(2, "bare_pipeline", FLOOR, "p50")),
    ),
)
