"""Stratifying: rows chosen so that a column's values keep their shares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ray_async.data.engine.grouping import group_numbers
from ray_async.data.plan.columns import check_columns

__all__ = ("stratified_rows",)


def stratified_rows(table: pa.Table, column: str, share: float) -> tuple[pa.Array, pa.Array]:
    """Indices of the rows of two parts, each in order; of each value the last rows go to the second part.

    Args:
        table: the rows.
        column: whose values have the same shares in both parts, to the nearest row.
        share: of the second part.
    """
    check_columns([column], table.column_names)
    numbers = group_numbers(table, [column]).to_numpy()
    order = np.argsort(numbers, kind="stable")
    sizes = np.bincount(numbers)
    second = np.zeros(table.num_rows, dtype=bool)
    start = 0
    for size in sizes.tolist():
        chosen = int(size * share + 0.5)
        second[order[start + size - chosen : start + size]] = True
        start += size
    return pa.array(np.flatnonzero(~second)), pa.array(np.flatnonzero(second))
