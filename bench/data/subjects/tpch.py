"""Queries of TPC-H."""

from bench.data.rows import memory_row, of_peer
from bench.subject import Row, Subject

__all__ = ("SUBJECT",)

_rows = [
    Row(
        f"TPC-H Q{number}, scale 1",
        f"tpch_q{number}",
        bar=of_peer("Polars", 1.5, f"tpch_q{number}"),
        params={"scale": 1.0},
        quick={"scale": 0.001},
    )
    for number in (1, 3, 5, 6, 9, 18)
]

SUBJECT = Subject("tpch", "TPC-H", (*_rows, memory_row(_rows[4])))
