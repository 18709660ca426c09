"""Gathering: rows of a table in another order, made a slice at a time where all at once would be too much memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ("SLICE_BYTES", "gathered", "rows_of_size")

#: Bytes of a slice of rows that is written at once.
SLICE_BYTES = 4 << 20


def gathered(
    table: pa.Table, order: pa.Array | np.ndarray[Any, np.dtype[np.int64]], slice_bytes: int = SLICE_BYTES
) -> Iterator[pa.Table]:
    """The rows in an order, in slices of about so many bytes; at least one slice.

    Args:
        table: the rows.
        order: their numbers.
        slice_bytes: size of a slice.
    """
    if not table.num_columns:  # `Table.take` forgets how many rows there are
        yield table
        return
    order = pa.array(order)
    whole = table.combine_chunks()  # `take` would put the chunks together for each slice anew
    del table
    rows = rows_of_size(whole, slice_bytes)
    for start in range(0, max(1, len(order)), rows):
        yield whole.take(order.slice(start, rows))


def rows_of_size(table: pa.Table, size: int) -> int:
    """How many rows have about so many bytes; at least one."""
    return max(1, int(table.num_rows * size // max(1, table.nbytes)))
