"""Collections of MongoDB, by PyMongo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_async.data.block.rows import rows_of
from ray_async.data.sinks.tables import RowStream, TableSink
from ray_async.data.sources.optional import library

__all__ = ("MongoSink",)

_ROWS = 4_096


@dataclass(frozen=True)
class MongoSink(TableSink):
    """Documents of a collection. A server on its own has no transactions: what a failed write has put is removed.

    Attributes:
        uri: of the server.
        database: the database.
        collection: the collection.
    """

    uri: str
    database: str
    collection: str
    name = "WriteMongo"

    def write(self, rows: RowStream) -> None:
        with library("pymongo", "pymongo", "write_mongo").MongoClient(self.uri) as client:
            target = client[self.database][self.collection]
            inserted: list[Any] = []
            try:
                for table in rows.tables():
                    for start in range(0, table.num_rows, _ROWS):
                        documents = list(rows_of(table.slice(start, _ROWS)))
                        inserted += target.insert_many(documents).inserted_ids
            except BaseException:
                target.delete_many({"_id": {"$in": inserted}})
                raise
