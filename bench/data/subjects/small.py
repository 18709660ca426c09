"""A thousand rows, workers warm."""

from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

_rows = tuple(
    Row(
        name,
        case,
        bar=Bar.at_most(limit, Unit.TIME),
        params={"rows": 1000, "seconds": 1.0},
        quick={"rows": 10, "seconds": 0.01},
    )
    for name, case, limit in (
        ("mean by a key of 1,000 rows in memory", "small_groupby", 5e-3),
        ("range(1000).map(f).take_all()", "small_map", 10e-3),
    )
)

SUBJECT = Subject("small", "A thousand rows", _rows)
