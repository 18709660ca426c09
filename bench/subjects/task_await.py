"""One task at a time from an event loop: `await f.remote()`."""

from bench.subject import Bar, Row, Subject

__all__ = ("SUBJECT",)

SUBJECT = Subject(
    "task_await",
    "Task, awaited",
    (
        Row(
            "single client tasks await",
            "task_await",
            floor="uvloop_echo",
            floor_title="uvloop echo",
            bar=Bar.of_floor(1.5, "uvloop_echo", "uvloop echo"),
            params={"seconds": 0.5},
            quick={"seconds": 0.02},
        ),
    ),
)
