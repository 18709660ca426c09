"""Databases, by connections of Python's DB-API, or of ADBC."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ray_async.data.block.columns import python_of
from ray_async.data.sinks.tables import RowStream, TableSink

__all__ = ("SQLSink",)

_ROWS = 4_096


@dataclass(frozen=True)
class SQLSink(TableSink):
    """A statement that is executed for each row, all in one transaction.

    Attributes:
        statement: the SQL, with a placeholder for each column.
        connect: makes a connection.
    """

    statement: str
    connect: Callable[[], Any]
    name = "WriteSQL"

    def write(self, rows: RowStream) -> None:
        with closing(self.connect()) as connection:
            try:
                with closing(connection.cursor()) as cursor:
                    for table in rows.tables():
                        for start in range(0, table.num_rows, _ROWS):
                            part = table.slice(start, _ROWS)
                            columns = [python_of(column) for column in part.columns]
                            cursor.executemany(self.statement, list(zip(*columns, strict=True)))
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
