"""Round trips and rates while one busy process for each core runs beside, for the floors and the peers as well."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

TIMED = {"seconds": 1.0, "busy": True}
QUICK = {"seconds": 0.02}
SOCKET, ECHO, QUEUE = (
    ("socketpair", "C socket pair"),
    ("uvloop_echo", "uvloop echo"),
    ("bare_queue_pipelined", "bare queue, pipelined"),
)


def row(name: str, case: str, floor: tuple[str, str], unit: Unit = Unit.TIME) -> Row:
    """A row held against a floor under the same load."""
    batch, few = ({"batch": 1000}, {"batch": 50}) if unit is Unit.RATE else ({}, {})
    return Row(
        f"under load: {name}",
        case,
        unit=unit,
        floor=floor[0],
        floor_title=floor[1],
        bar=Bar.of_floor(2, *floor),
        params={**TIMED, **batch},
        quick={**QUICK, **few},
    )


SUBJECT = Subject(
    "under_load",
    "With a busy process on each core",
    (
        row("tasks sync", "task_sync", SOCKET),
        row("tasks await", "task_await", ECHO),
        row("tasks async", "tasks_pipelined", QUEUE, Unit.RATE),
        row("actor calls sync", "actor_sync", SOCKET),
        row("actor calls await", "actor_await", ECHO),
        row("actor calls async", "actor_pipelined", QUEUE, Unit.RATE),
        row("async-actor calls sync", "async_actor_sync", SOCKET),
        row("async-actor calls await", "async_actor_await", ECHO),
        row("async-actor calls async", "async_actor_pipelined", QUEUE, Unit.RATE),
        row("a task submitting 1,000 tasks", "nested_task", QUEUE, Unit.RATE),
    ),
)
