"""Calls by handle from an async driver, beside calls of an async actor."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

TIMED = {"seconds": 1.0}
QUICK = {"seconds": 0.05}

SUBJECT = Subject(
    "handles",
    "Calls by handle",
    (
        Row(
            "await handle.remote()",
            "handle_await",
            bar=Bar.of_own(4, "actor_await", "wall", "an async actor's call"),
            params=TIMED,
            quick=QUICK,
        ),
        Row(
            "gather of 1,000 handle.remote()",
            "handle_pipelined",
            unit=Unit.RATE,
            bar=Bar.of_own(4, "actor_pipelined", "wall", "an async actor's calls"),
            params={**TIMED, "batch": 1000},
            quick={**QUICK, "batch": 20},
        ),
        Row("await actor.method.remote()", "actor_await", params=TIMED, quick=QUICK),
        Row(
            "gather of 1,000 actor.method.remote()",
            "actor_pipelined",
            unit=Unit.RATE,
            params={**TIMED, "batch": 1000},
            quick={**QUICK, "batch": 20},
        ),
    ),
)
