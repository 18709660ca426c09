"""Rows whose cost is that of a peer's, and the memory beside it."""

from __future__ import annotations

from dataclasses import replace

from bench.subject import Bar, Params, Reference, Row, Subject, Unit

__all__ = ("memory_row", "of_peer", "shrunk", "table_params")

#: Parameters that say how much there is.
SIZES = ("rows", "second_rows", "bytes", "store_bytes", "images", "calls", "scale")


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


def shrunk(subject: Subject, share: float) -> Subject:
    """The subject with a share of all sizes, which the names of its rows say; bars of fixed costs go.

    Example: `shrunk(subject, 0.1).rows[0].name == "sort: 4 M rows, x0.1"`.
    """
    if share == 1:
        return subject
    rows = []
    for row in subject.rows:
        sizes = {
            name: value * share if name == "scale" else int(value * share)
            for name, value in row.params.items()
            if name in SIZES and isinstance(value, (int, float))
        }
        bar = row.bar if row.bar is None or row.bar.reference is not None else None
        rows.append(replace(row, name=f"{row.name}, x{share:g}", params={**row.params, **sizes}, bar=bar))
    return replace(subject, rows=tuple(rows))
