"""Consumption: methods that run a dataset and give rows, batches, numbers or a dataset that is computed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.block.batches import batch_of, check_batch_format
from ray_async.data.block.bundle import schema_of
from ray_async.data.block.rows import rows_of
from ray_async.data.block.schema import concatenated, conformed, unified
from ray_async.data.dataset.base import DatasetBase
from ray_async.data.executor.blocks import table_of_piece, tables_of_bundles
from ray_async.data.plan import nodes
from ray_async.data.schema import Schema

if TYPE_CHECKING:
    from ray_async.data.dataset.materialized import MaterializedDataset

__all__ = ("Consuming", "fitted")


class Consuming(DatasetBase):
    """Methods that run the dataset."""

    def take(self, limit: int = 20) -> list[dict[str, Any]]:
        """The first rows.

        Args:
            limit: rows at most; no more are computed than it takes.
        """
        return list(rows_of(self._head(limit)))

    def take_all(self, limit: int | None = None) -> list[dict[str, Any]]:
        """All rows.

        Raises:
            ValueError: There are more rows than ``limit``.
        """
        return list(rows_of(self._whole_table(limit, "take_all")))

    def take_batch(self, batch_size: int = 20, *, batch_format: str | None = "default") -> Any:
        """The first rows as a batch.

        Raises:
            ValueError: The dataset is empty.
        """
        known = check_batch_format(batch_format)
        table = self._head(batch_size)
        if not table.num_rows:
            raise ValueError("The dataset is empty.")
        return batch_of(table, known, writable=True)

    def show(self, limit: int = 20) -> None:
        """Print the first rows, one in a line."""
        for row in self.take(limit):
            print(row)

    def count(self) -> int:
        """The number of rows: from what is known where that tells, from an earlier run, or by running it."""
        if self._known.count is None and not self._context.max_errored_blocks:
            self._known.count = self._node.count()
        if self._known.count is None:
            self._run_all()
        assert self._known.count is not None
        return self._known.count

    def schema(self, fetch_if_missing: bool = True) -> Schema | None:
        """Names and types of the columns.

        Args:
            fetch_if_missing: whether to run the first rows where nothing else tells.

        Returns:
            None where there are no columns, or they are not known.

        Raises:
            TypeError: Blocks do not fit together.
        """
        known = self._known.schema or self._node.schema()
        if known is None and self._known.written:
            known = self._known.schema = unified(self._known.written)
        if known is None and fetch_if_missing:
            known = schema_of(self._execution(nodes.Limit(self._node, 1)).all())
        return Schema(known) if known is not None and len(known) else None

    def columns(self, fetch_if_missing: bool = True) -> list[str] | None:
        """Names of the columns; None as `schema`."""
        schema = self.schema(fetch_if_missing)
        return None if schema is None else schema.names

    def _schema_names(self) -> list[str]:
        return self.columns() or []

    def materialize(self) -> MaterializedDataset:
        """Run it and keep its blocks in the store.

        Returns:
            A dataset that starts from there.
        """
        from ray_async.data.dataset.materialized import MaterializedDataset

        bundles = tuple(self._run_all())
        found = MaterializedDataset(nodes.Blocks(bundles, self._known.schema, fixed=True), self._context.copy())
        found._last = self._last
        found._name = self._name
        return found

    def size_bytes(self) -> int:
        """Bytes of all rows in memory; runs the dataset."""
        return sum(bundle.bytes for bundle in self._run_all())

    def num_blocks(self) -> int:
        """The number of blocks.

        Raises:
            NotImplementedError: It has not been run; `materialize` does that.
        """
        raise NotImplementedError("only a materialized dataset knows its number of blocks: call materialize() first")

    def input_files(self) -> list[str]:
        """Paths of the files that it reads."""
        found: list[str] = []
        waiting: list[nodes.PlanNode] = [self._node]
        while waiting:
            node = waiting.pop()
            if isinstance(node, nodes.Read):
                found += node.source.input_files()
            waiting += node.inputs
        return sorted(set(found))

    # Tables

    def _head(self, limit: int) -> pa.Table:
        if limit < 0:
            raise ValueError(f"limit must be zero or positive, but is {limit}")
        tables = tables_of_bundles(self._execution(nodes.Limit(self._node, limit)).all())
        return self._put_together(tables)

    def _whole_table(self, limit: int | None, method: str) -> pa.Table:
        if limit is not None:
            table = self._head(limit + 1)
            if table.num_rows > limit:
                raise ValueError(f"the dataset has more than {limit} rows: {method}(limit={limit})")
            return table
        return self._put_together(tables_of_bundles(self._run_all()))

    def _put_together(self, tables: list[pa.Table]) -> pa.Table:
        known = self._known.schema or self._node.schema()
        if not tables:
            return known.empty_table() if known is not None else pa.table({})
        table = concatenated(tables)
        if known is not None and len(known) and table.schema != known and set(table.column_names) <= set(known.names):
            return conformed(table, unified([known, table.schema]))
        return table

    def _tables(self, ahead: int = 1, *, whole_blocks: bool = False) -> Iterator[pa.Table]:
        """The tables of the result as they are ready, each with the columns and types of those before it too.

        Args:
            ahead: blocks that are made ready before they are asked for.
            whole_blocks: whether each table is a block, though its rows lie in several places.
        """
        execution = self._execution()
        known: pa.Schema | None = self._known.schema or self._node.schema()
        rows = 0
        for bundle in execution.bundles(ahead):
            tables = (table_of_piece(piece) for piece in bundle.pieces)
            for table in [concatenated(list(tables))] if whole_blocks and bundle.pieces else tables:
                rows += table.num_rows
                known, table = fitted(known, table)
                yield table
        if execution.run is not None and execution.run.complete:
            self._known.count = rows
            self._known.schema = known

    async def _tables_async(self) -> AsyncIterator[pa.Table]:
        """The same for a coroutine; tables that are not in memory are awaited."""
        execution = self._execution()
        known: pa.Schema | None = self._known.schema or self._node.schema()
        rows = 0
        stream = execution.stream()
        try:
            async for bundle in stream:
                for piece in bundle.pieces:
                    table = await _awaited(piece)
                    rows += table.num_rows
                    known, table = fitted(known, table)
                    yield table
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
        self._known.count = rows
        self._known.schema = known


async def _awaited(piece: Any) -> pa.Table:
    from ray_async.data.executor.blocks import LocalBlock

    if isinstance(piece.handle, LocalBlock):
        return table_of_piece(piece)
    table = await piece.handle
    return table.slice(piece.start, piece.rows)


def fitted(known: pa.Schema | None, table: pa.Table) -> tuple[pa.Schema | None, pa.Table]:
    """The schema of all tables so far, and the last of them in it."""
    if not table.num_columns:
        return known, table
    if known is None or not len(known):
        return table.schema, table
    if table.schema.equals(known):
        return known, table
    wider = unified([known, table.schema])
    return wider, conformed(table, wider)
