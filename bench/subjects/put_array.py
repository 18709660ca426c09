"""Putting a 100 MB array, into pages of the store that were used before and into fresh ones, against memcpy."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

SIZE = 100_000_000
PARAMS = {"bytes": SIZE, "repeats": 3}
QUICK = {"bytes": 1_000_000, "repeats": 1}

SUBJECT = Subject(
    "put_array",
    "Put of a 100 MB array",
    (
        Row(
            "single client put gigabytes",
            "put_array_warm",
            unit=Unit.BANDWIDTH,
            floor="copy_warm",
            floor_title="memcpy, warm",
            bar=Bar.of_floor(1.25, "copy_warm", "memcpy, warm"),
            params=PARAMS,
            quick=QUICK,
        ),
        Row(
            "single client put gigabytes, fresh pages",
            "put_array_fresh",
            unit=Unit.BANDWIDTH,
            floor="copy_fresh",
            floor_title="memcpy, fresh pages",
            bar=Bar.of_floor(1.25, "copy_fresh", "memcpy, fresh pages"),
            params={**PARAMS, "settle_seconds": 1},
            quick={**QUICK, "settle_seconds": 0},
            fresh=True,
        ),
    ),
)
