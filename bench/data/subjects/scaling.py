"""Time against rows, from a thousand to ten million."""

from bench.data.rows import table_params
from bench.subject import Row, Subject

__all__ = ("CASES", "SIZES", "SUBJECT", "name_of")

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CASES = {"groupby_mean": "mean by a key", "sort": "sort", "pipeline": "main program"}


def name_of(case: str, rows: int) -> str:
    """The name of a row."""
    return f"{CASES[case]} of {rows:,} rows"


SUBJECT = Subject(
    "scaling",
    "Time against rows",
    tuple(
        Row(name_of(case, rows), case, params=table_params("facts", rows), quick=table_params("facts", min(rows, 1000)))
        for case in CASES
        for rows in SIZES
    ),
)
