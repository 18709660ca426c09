"""The rows of calls of one actor, which a sync and an async one have in common."""

from bench.subject import Bar, Row, Unit

__all__ = ("actor_call_rows",)

TIMED = {"seconds": 0.5}
TIMED_QUICK = {"seconds": 0.02}


def actor_call_rows(kind: str, case: str) -> tuple[Row, ...]:
    """Calls one at a time, awaited, and pipelined.

    Args:
        kind: what titles call the actor.
        case: how the names of the cases begin.
    """
    return (
        Row(
            f"1:1 {kind} calls sync",
            f"{case}_sync",
            floor="socketpair",
            floor_title="C socket pair",
            bar=Bar.of_floor(2, "socketpair", "C socket pair"),
            params=TIMED,
            quick=TIMED_QUICK,
        ),
        Row(
            f"1:1 {kind} calls await",
            f"{case}_await",
            floor="uvloop_echo",
            floor_title="uvloop echo",
            bar=Bar.of_floor(1.5, "uvloop_echo", "uvloop echo"),
            params=TIMED,
            quick=TIMED_QUICK,
        ),
        Row(
            f"1:1 {kind} calls async",
            f"{case}_pipelined",
            unit=Unit.RATE,
            floor="bare_queue_pipelined",
            floor_title="bare queue, pipelined",
            bar=Bar.of_floor(4, "bare_queue_pipelined", "bare queue, pipelined"),
            params={**TIMED, "batch": 1000},
            quick={**TIMED_QUICK, "batch": 50},
        ),
    )
