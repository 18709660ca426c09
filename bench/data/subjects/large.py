"""More than memory: 8 GB of rows of a hundred bytes, in random order and sorted, with 1 GB for the store."""

from bench.data.rows import memory_row, of_peer, table_params
from bench.subject import Bar, Row, Subject, Unit

__all__ = ("SUBJECT",)

_sort, _shuffle = (
    Row(
        f"{title} of 8 GB with 1 GB of store",
        case,
        bar=of_peer("DuckDB", 1.5, case),
        params=table_params("wide", 80_000_000, store_bytes=1 << 30),
        quick=table_params("wide", 1_000, store_bytes=256 << 20),
    )
    for title, case in (("sort", "large_sort"), ("random_shuffle", "large_shuffle"))
)
_memory = Bar.at_most(2e9, Unit.BYTES)

SUBJECT = Subject(
    "large",
    "More than memory",
    (_sort, memory_row(_sort, _memory), _shuffle, memory_row(_shuffle, _memory)),
)
