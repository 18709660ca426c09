"""Calls from within: a task or actors that submit tasks, and actors that call actors; CPU time against the driver's."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"seconds": 0.5, "batch": 1000}
QUICK = {"seconds": 0.02, "batch": 50}
TASKS = Bar.of_own(1.2, "tasks_pipelined", "cpu", "CPU time from the driver")
# The driver and the actors make the very same calls: each to the next of several actors.
ACTORS = Bar.of_own(1.2, "driver_to_actors", "cpu", "CPU time from the driver")


def pair(name: str, case: str, bar: Bar | None = None) -> tuple[Row, Row]:
    """A row for the rate, and one for the CPU time of all processes, which a bar is about."""
    return (
        Row(name, case, unit=Unit.RATE, params=PARAMS, quick=QUICK),
        Row(f"{name}, CPU time per call", case, metric="cpu", bar=bar, params=PARAMS, quick=QUICK),
    )


SUBJECT = Subject(
    "nested_calls",
    "Nested calls",
    (
        *pair("a task submitting 1,000 tasks", "nested_task", TASKS),
        *pair("multi client tasks async", "nested_actors", TASKS),
        *pair("1:n actor calls async", "driver_to_actors"),
        *pair("n:n actor calls async", "actors_to_actors", ACTORS),
    ),
)
