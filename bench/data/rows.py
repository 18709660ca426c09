"""Rows whose cost is that of a peer's, and the memory beside it."""

from __future__ import annotations

from dataclasses import replace

from bench.subject import Bar, Params, Reference, Row, Unit

__all__ = ("memory_row", "of_peer", "table_params")


def of_peer(peer: str, times: float, case: str) -> Bar:
    """At most `times` the cost of a peer in the same case.

    Example: `of_peer("Polars", 1.3, "sort").text == "≤ 1.3x Polars"`.
    """
    return Bar(times, f"≤ {times:g}x {peer}", Reference(peer, case))


def memory_row(row: Row, bar: Bar | None = None) -> Row:
    """The peak memory of all processes during the same work."""
    return replace(row, name=f"{row.name}: peak memory", metric="peak", unit=Unit.BYTES, bar=bar)


def table_params(table: str, rows: int, **more: float | str) -> Params:
    """Parameters of a case that reads a table."""
    return {"table": table, "rows": rows, **more}
