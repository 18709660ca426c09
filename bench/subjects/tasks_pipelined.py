"""A thousand tasks at once from one driver, then their results."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"seconds": 0.5, "batch": 1000}
QUICK = {"seconds": 0.02, "batch": 50}

SUBJECT = Subject(
    "tasks_pipelined",
    "Tasks, pipelined",
    (
        Row(
            "single client tasks async",
            "tasks_pipelined",
            unit=Unit.RATE,
            floor="bare_queue_pipelined",
            floor_title="bare queue, pipelined",
            bar=Bar.of_floor(4, "bare_queue_pipelined", "bare queue, pipelined"),
            params=PARAMS,
            quick=QUICK,
        ),
        Row(
            "single client tasks async, CPU time per call", "tasks_pipelined", metric="cpu", params=PARAMS, quick=QUICK
        ),
        Row(
            "single client tasks async, against peers",
            "tasks_pipelined",
            unit=Unit.RATE,
            params=PARAMS,
            quick=QUICK,
        ),
    ),
)
