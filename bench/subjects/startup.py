"""From nothing to the first result and back: import, init, shutdown, each in a fresh interpreter."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

PARAMS = {"repeats": 3}
QUICK = {"repeats": 1}

SUBJECT = Subject(
    "startup",
    "Start and end",
    (
        Row(
            "import",
            "start",
            metric="import",
            floor="import_asyncio",
            floor_title="import asyncio",
            bar=Bar.of_floor(3, "import_asyncio", "import asyncio"),
            params=PARAMS,
            quick=QUICK,
        ),
        Row(
            "init to first result",
            "start",
            metric="first",
            floor="bare_start",
            floor_title="bare Python",
            bar=Bar.of_floor(15, "bare_start", "bare Python"),
            params=PARAMS,
            quick=QUICK,
        ),
        Row("shutdown", "start", metric="shutdown", bar=Bar.at_most(0.05, Unit.TIME), params=PARAMS, quick=QUICK),
    ),
)
