"""Queries of databases: by connections of Python's DB-API, or of ADBC, which give Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import column_of_values
from ray_async.data.sources.base import Parallelism, RowSource

__all__ = ("SQLSource",)

_ROWS = 16_384


@dataclass(frozen=True)
class SQLSource(RowSource):
    """A query; with shard keys one for each shard, of the rows whose keys' hash falls into it.

    Attributes:
        query: the SQL.
        connect: makes a connection, in the process that reads.
        parameters: of the query.
        shard_keys: columns whose values decide the shard.
        hash_function: the database's function, from a text to a number.
    """

    query: str
    connect: Callable[[], Any]
    parameters: Sequence[Any] | Mapping[str, Any] | None = None
    shard_keys: tuple[str, ...] = ()
    hash_function: str = "MD5"
    name = "SQL"

    def schema(self) -> None:
        return None

    def count(self) -> None:
        return None

    def size(self) -> None:
        return None

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, int]]:
        count = (parallelism.blocks or 2 * parallelism.cpus) if self.shard_keys else 1
        return [(index, count) for index in range(count)]

    def read(self, params: tuple[int, int]) -> Iterator[pa.Table]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            query = self._query(*params)
            try:
                cursor.execute(query) if self.parameters is None else cursor.execute(query, self.parameters)
            except Exception as error:
                error.add_note(f"the query was: {query}")
                raise
            yield from _tables(cursor)

    def _query(self, index: int, count: int) -> str:
        if count == 1:
            return self.query
        keys = self.shard_keys[0] if len(self.shard_keys) == 1 else f"CONCAT({', '.join(self.shard_keys)})"
        return f"SELECT * FROM ({self.query}) AS T WHERE MOD(ABS({self.hash_function}({keys})), {count}) = {index}"


def _tables(cursor: Any) -> Iterator[pa.Table]:
    if hasattr(cursor, "fetch_record_batch"):  # ADBC
        reader = cursor.fetch_record_batch()
        yield reader.schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch])
        return
    names = [column[0] for column in cursor.description or ()]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the query gives two columns {', '.join(map(repr, twice))}: name them apart with AS")
    first = True
    while (rows := cursor.fetchmany(_ROWS)) or first:
        first = False
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        yield pa.table({name: column_of_values(list(values)) for name, values in zip(names, columns, strict=True)})
