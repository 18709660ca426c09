"""Collections of MongoDB, by PyMongo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa

from ray_async.data.block.rows import table_of_rows
from ray_async.data.block.schema import conformed, unified
from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.optional import library

__all__ = ("MongoSource",)

_ROWS = 8_192


@dataclass(frozen=True)
class MongoSource(RowSource):
    """The documents that a pipeline gives of a collection, read by one call; ids are their texts.

    Attributes:
        uri: of the server.
        database: the database.
        collection: the collection.
        pipeline: stages of an aggregation.
        given: the Arrow schema that rows have; None takes what the documents have.
        options: of `pymongo.collection.Collection.aggregate`.
    """

    uri: str
    database: str
    collection: str
    pipeline: tuple[Mapping[str, Any], ...] = ()
    given: pa.Schema | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    name = "Mongo"

    def schema(self) -> pa.Schema | None:
        return self.given

    def count(self) -> None:
        return None

    def size(self) -> None:
        return None

    def reads(self, parallelism: Parallelism) -> Sequence[None]:
        return [None]

    def read(self, params: None) -> Iterator[pa.Table]:
        with library("pymongo", "pymongo", "read_mongo").MongoClient(self.uri) as client:
            found = client[self.database][self.collection].aggregate(list(self.pipeline), **self.options)
            documents = iter(found)
            while rows := [_plain(document) for document in islice(documents, _ROWS)]:
                table = table_of_rows(rows)
                if self.given is not None:
                    table = conformed(table, unified([self.given, table.schema])).select(self.given.names)
                yield table


def _plain(value: Any) -> Any:
    """A value without classes of BSON's."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if type(value).__module__.startswith("bson"):
        return value.to_decimal() if hasattr(value, "to_decimal") else str(value)
    return value
