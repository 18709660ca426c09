"""A million no-op tasks queued behind a closed gate, then drained: memory, rate, and what each costs against fewer."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"count": 1_000_000, "watch_memory": True}
QUICK = {"count": 2_000}
PEERS = {"count": 10_000}

SUBJECT = Subject(
    "queued_tasks",
    "A million queued tasks",
    (
        Row(
            "a million queued tasks, peak memory of all processes and the store",
            "queued",
            metric="peak",
            unit=Unit.BYTES,
            bar=Bar.at_most(1e9, Unit.BYTES),
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
        Row(
            "a million queued tasks, submitted and drained",
            "queued",
            unit=Unit.RATE,
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
        Row(
            "a million queued tasks, slowdown with depth",
            "queued",
            metric="slowdown",
            unit=Unit.FRACTION,
            bar=Bar.at_most(1.25, Unit.FRACTION),
            params=PARAMS,
            quick=QUICK,
            for_peers=PEERS,
            fresh=True,
        ),
    ),
)
