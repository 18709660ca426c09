"""Block accessors: the same questions of a block, whichever of the forms it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from ray_async.data.block.batches import batch_of, check_batch_format, table_of_batch
from ray_async.data.block.frames import frame_of
from ray_async.data.block.rows import rows_of

__all__ = ("BlockAccessor",)


class BlockAccessor:
    """A block as an Arrow table, a DataFrame, or whatever batch format is asked for.

    Args:
        table: the block's rows.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def for_block(cls, block: Any) -> BlockAccessor:
        """The accessor of an Arrow table, a DataFrame, or a dict of columns.

        Raises:
            ValueError: It is something else.
        """
        return cls(table_of_batch(block))

    @classmethod
    def batch_to_block(cls, batch: Any) -> pa.Table:
        """The block of a batch."""
        return table_of_batch(batch)

    def num_rows(self) -> int:
        return int(self._table.num_rows)

    def size_bytes(self) -> int:
        return int(self._table.nbytes)

    def schema(self) -> pa.Schema:
        return self._table.schema

    def column_names(self) -> list[str]:
        return list(self._table.column_names)

    def to_arrow(self) -> pa.Table:
        return self._table

    def to_block(self) -> pa.Table:
        return self._table

    def to_pandas(self) -> Any:
        return frame_of(self._table)

    def to_numpy(self, columns: str | Sequence[str] | None = None) -> Any:
        """An array of a column, or a dict of arrays."""
        batch = batch_of(self._table, "numpy")
        if isinstance(columns, str):
            return batch[columns]
        return batch if columns is None else {name: batch[name] for name in columns}

    def to_batch_format(self, batch_format: str | None) -> Any:
        return batch_of(self._table, check_batch_format(batch_format))

    def iter_rows(self, public_row_format: bool = True) -> Iterator[dict[str, Any]]:
        return rows_of(self._table)

    def slice(self, start: int, end: int, copy: bool = False) -> pa.Table:
        """Rows ``start`` to ``end``; with ``copy`` in memory of their own."""
        part = self._table.slice(start, end - start)
        return part.take(pa.array(range(part.num_rows))) if copy else part

    def select(self, columns: Sequence[str]) -> pa.Table:
        return self._table.select(list(columns))
