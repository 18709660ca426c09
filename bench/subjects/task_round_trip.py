"""One task at a time: `get(f.remote())`, its CPU time, and the CPU time of doing nothing."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

TIMED = {"seconds": 0.5}
QUICK = {"seconds": 0.02}

SUBJECT = Subject(
    "task_round_trip",
    "Task, sync round trip",
    (
        Row(
            "single client tasks sync",
            "task_sync",
            floor="socketpair",
            floor_title="C socket pair",
            bar=Bar.of_floor(2, "socketpair", "C socket pair"),
            params=TIMED,
            quick=QUICK,
        ),
        Row(
            "single client tasks sync, against the bare queue",
            "task_sync",
            floor="bare_queue",
            floor_title="bare queue",
            params=TIMED,
            quick=QUICK,
        ),
        Row(
            "single client tasks sync, against the futex",
            "task_sync",
            floor="futex",
            floor_title="C futex",
            params=TIMED,
            quick=QUICK,
        ),
        Row("single client tasks sync, CPU time per call", "task_sync", metric="cpu", params=TIMED, quick=QUICK),
        Row(
            "CPU at idle (share of one core)",
            "idle",
            metric="busy",
            unit=Unit.FRACTION,
            bar=Bar.at_most(0.001, Unit.FRACTION),
            params={"idle_seconds": 4.0, "settle_seconds": 3.0},
            quick={"idle_seconds": 0.2, "settle_seconds": 0.0},
        ),
    ),
)
