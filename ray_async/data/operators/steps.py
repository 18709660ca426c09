"""Steps: what a chain does to a stream of tables, one after the other, without a block in between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from ray_async.data.block.batches import batch_of, resized, table_of_batch
from ray_async.data.block.frames import KnownTexts
from ray_async.data.block.rows import rows_of, table_of_rows
from ray_async.data.operators.code_reading import columns_read
from ray_async.data.operators.coroutines import Collected
from ray_async.data.operators.function import UserFunction

__all__ = ("BatchMap", "ChainStep", "NumberedStep", "RowFilter", "RowFlatMap", "RowMap")

#: Rows that are Python objects at a time.
ROWS_AT_A_TIME = 8192


class ChainStep(Protocol):
    """A picklable transformation of tables."""

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]: ...


@runtime_checkable
class NumberedStep(Protocol):
    """A step that has to know which of its stage's calls it is part of."""

    def run_numbered(self, tables: Iterable[pa.Table], number: int) -> Iterator[pa.Table]: ...


def _chunks(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for table in tables:
        for start in range(0, table.num_rows, ROWS_AT_A_TIME):
            yield table.slice(start, ROWS_AT_A_TIME)


def _streams(function: UserFunction, tables: Iterable[pa.Table]) -> Iterator[Iterator[dict[str, Any]]]:
    """The rows, some thousands at a time; for coroutines all as one, since each end waits for those that still run."""
    parts = (rows_of(chunk) for chunk in _chunks(tables))
    if function.is_async:
        yield chain.from_iterable(parts)
    else:
        yield from parts


@dataclass
class RowMap:
    """A function from row to row."""

    function: UserFunction

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for rows in _streams(self.function, tables):
            results = map(self._checked, self.function.over(rows))
            while part := list(islice(results, ROWS_AT_A_TIME)):
                yield table_of_rows(part)

    def _checked(self, row: Any) -> Mapping[str, Any]:
        if isinstance(row, (dict, Mapping)):
            return row
        raise ValueError(
            f"the function of {self.function.stage} must return a dict for each row, but returned {row!r} "
            f"({type(row).__name__}): wrap it in a dict"
        )


@dataclass
class RowFlatMap:
    """A function from row to rows."""

    function: UserFunction

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        function = self.function
        for rows in _streams(function, tables):
            found: list[Mapping[str, Any]] = []
            for result in function.over(rows):
                plain = isinstance(result, (Mapping, str, bytes)) or not hasattr(result, "__iter__")
                if plain and not isinstance(result, Collected):
                    raise ValueError(
                        f"the function of {function.stage} must return a list of dicts for each row, but returned "
                        f"{result!r} ({type(result).__name__})"
                    )
                for row in function.items(result) if not isinstance(result, list) else result:
                    if not isinstance(row, Mapping):
                        raise ValueError(
                            f"the function of {function.stage} must return a list of dicts, but one of its items is "
                            f"{row!r} ({type(row).__name__}): wrap it in a dict"
                        )
                    found.append(row)
                    if len(found) >= ROWS_AT_A_TIME:
                        yield table_of_rows(found)
                        found = []
            if found:
                yield table_of_rows(found)


@dataclass
class RowFilter:
    """A function from row to whether it is kept; what it does to its row has no effect."""

    function: UserFunction

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        function = self.function.function
        read = None if self.function.args or self.function.kwargs else columns_read(function)
        for table in tables:
            narrow = table
            if read and read <= set(table.column_names):
                narrow = table.select([name for name in table.column_names if name in read])
            mask: list[bool] = []
            for rows in _streams(self.function, [narrow]):
                mask += map(bool, self.function.over(rows))
            yield table.filter(pa.array(mask, type=pa.bool_())) if table.num_columns else table.slice(0, sum(mask))


def _once(values: list[Any]) -> Iterator[Any]:
    """The last of the values, without holding it."""
    yield values.pop()


@dataclass
class BatchMap:
    """A function from batch to batch, or to an iterator of batches.

    Attributes:
        function: the function.
        rows: rows of a batch; None for whole blocks.
        batch_format: as `check_batch_format` returns it.
        writable: whether NumPy batches are copies.
    """

    function: UserFunction
    rows: int | None
    batch_format: str | None
    writable: bool

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        return self.results(resized(tables, self.rows))

    def results(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """What the function makes of each table as a batch."""
        texts = KnownTexts()

        def batches() -> Iterator[Any]:
            # Nothing is held while the function and the stages after it work; see `UserFunction.over`.
            for table in tables:
                made = [batch_of(table, self.batch_format, writable=self.writable)]
                if self.batch_format == "pandas":
                    texts.remember(made[0], table)
                del table
                yield made.pop()

        for result in self.function.over(batches()):
            found = iter(self._batches(result))
            del result
            for batch in found:
                tables_made = [self._table(batch, texts)]
                del batch
                yield tables_made.pop()

    def _batches(self, result: Any) -> Iterable[Any]:
        if isinstance(result, Collected) or hasattr(result, "__next__"):
            return self.function.items(result)
        return iter(()) if isinstance(result, list) and not result else _once([result])

    def _table(self, batch: Any, texts: KnownTexts) -> pa.Table:
        try:
            return table_of_batch(batch, texts)
        except ValueError as error:
            raise ValueError(f"{self.function.stage}: {error}") from None
