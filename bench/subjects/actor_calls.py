"""Calls of one sync actor: one at a time, awaited, and pipelined."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

TIMED = {"seconds": 0.5}
TIMED_QUICK = {"seconds": 0.02}

SUBJECT = Subject(
    "actor_calls",
    "Actor calls",
    (
        Row(
            "1:1 actor calls sync",
            "actor_sync",
            floor="socketpair",
            floor_title="C socket pair",
            bar=Bar.of_floor(2, "socketpair", "C socket pair"),
            params=TIMED,
            quick=TIMED_QUICK,
        ),
        Row(
            "1:1 actor calls await",
            "actor_await",
            floor="uvloop_echo",
            floor_title="uvloop echo",
            bar=Bar.of_floor(1.5, "uvloop_echo", "uvloop echo"),
            params=TIMED,
            quick=TIMED_QUICK,
        ),
        Row(
            "1:1 actor calls async",
            "actor_pipelined",
            unit=Unit.RATE,
            floor="bare_queue_pipelined",
            floor_title="bare queue, pipelined",
            bar=Bar.of_floor(4, "bare_queue_pipelined", "bare queue, pipelined"),
            params={**TIMED, "batch": 1000},
            quick={**TIMED_QUICK, "batch": 50},
        ),
    ),
)
