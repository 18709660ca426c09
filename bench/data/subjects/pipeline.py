"""The seed's program: read 16 Parquet files, a function of batches, a filter by a function, write, count."""

from bench.data.rows import memory_row, of_peer, table_params
from bench.subject import Row, Subject

__all__ = ("SUBJECT",)

_row = Row(
    "read, map in pandas, filter, write, count: 4 M rows",
    "pipeline",
    bar=of_peer("pandas", 0.55, "pipeline"),
    params=table_params("facts", 4_000_000),
    quick=table_params("facts", 1_000),
)

SUBJECT = Subject("pipeline", "The main program", (_row, memory_row(_row)))
