"""Time against rows, from a thousand to a hundred million."""

from bench.data.rows import table_params
from bench.subject import Row, Subject

__all__ = ("CASES", "SIZES", "SUBJECT", "name_of")

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
CASES = {"groupby_mean": "mean by a key", "sort": "sort", "pipeline": "main program"}
#: Rows of which a sorted table fits into the memory of small machines, twice.
_MOST_KEPT = 10_000_000


def name_of(case: str, rows: int) -> str:
    """The name of a row."""
    return f"{CASES[case]} of {rows:,} rows"


def _row(case: str, rows: int) -> Row:
    """Beyond what memory holds sorted rows are looked at and not kept, by those who can do it with bounded memory."""
    looked_at = case == "sort" and rows > _MOST_KEPT
    params, quick = table_params("facts", rows), table_params("facts", min(rows, 1000))
    if looked_at:
        params, quick = {**params, "store_bytes": 4 << 30}, {**quick, "store_bytes": 256 << 20}
    return Row(name_of(case, rows), "large_sort" if looked_at else case, params=params, quick=quick)


SUBJECT = Subject("scaling", "Time against rows", tuple(_row(case, rows) for case in CASES for rows in SIZES))
