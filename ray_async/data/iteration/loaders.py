"""Loader processes of torch: each gets its share of the rows, and not all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow as pa

__all__ = ("shared_among_loaders",)


def shared_among_loaders(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The rows that are this process's, where it is one of those of a torch ``DataLoader``; else all.

    Each of these processes iterates over the whole dataset, since a ``DataLoader`` gives each a copy of it.

    Args:
        tables: all rows.
    """
    info = sys.modules["torch.utils.data"].get_worker_info() if "torch.utils.data" in sys.modules else None
    if info is None:
        return tables
    return _every(tables, info.id, info.num_workers)


def _every(tables: Iterator[pa.Table], first: int, step: int) -> Iterator[pa.Table]:
    """Every so many rows, from one on."""
    for table in tables:
        yield table.take(pa.array(range(first, table.num_rows, step), type=pa.int64()))
        first = (first - table.num_rows) % step
