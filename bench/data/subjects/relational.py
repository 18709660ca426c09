"""Relational work on Parquet files: a mean by a key, a sort, a join."""

from bench.data.rows import memory_row, of_peer, table_params
from bench.subject import Row, Subject

__all__ = ("SUBJECT",)

_groupby, _sort = (
    Row(
        f"{title}: 4 M rows",
        case,
        bar=of_peer("Polars", 1.3, case),
        params=table_params("facts", 4_000_000),
        quick=table_params("facts", 1_000),
    )
    for title, case in (("mean by a key", "groupby_mean"), ("sort", "sort"))
)
_join = Row(
    "join of 10 M with 1 M rows",
    "join",
    bar=of_peer("Polars", 1.5, "join"),
    params=table_params("facts", 10_000_000, second="sides", second_rows=1_000_000),
    quick=table_params("facts", 1_000, second="sides", second_rows=100),
)

SUBJECT = Subject(
    "relational",
    "From Parquet files",
    (_groupby, memory_row(_groupby), _sort, memory_row(_sort), _join, memory_row(_join)),
)
