"""Delta Lake tables, by deltalake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from ray_async.data.expressions.expr import Expr
from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.optional import library

__all__ = ("DeltaSource",)


@dataclass(frozen=True)
class DeltaSource(RowSource):
    """One version of a table; its files are read by need of columns and rows.

    Attributes:
        path: the table's folder, or its URI.
        version: the number of the version, so that all reads see the same.
        storage_options: of deltalake.
        columns: columns to read; None for all.
        predicate: rows to keep.
    """

    path: str
    version: int
    storage_options: Mapping[str, str] | None = None
    columns: tuple[str, ...] | None = None
    predicate: Expr | None = None
    name = "Delta"

    @cached_property
    def _dataset(self) -> Any:
        delta = library("deltalake", "deltalake", "read_delta")
        options = None if self.storage_options is None else dict(self.storage_options)
        return delta.DeltaTable(self.path, version=self.version, storage_options=options).to_pyarrow_dataset()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_dataset"}

    @property
    def _files(self) -> list[Any]:
        return sorted(self._dataset.get_fragments(), key=lambda fragment: str(fragment.path))

    def schema(self) -> pa.Schema:
        whole = self._dataset.schema.remove_metadata()
        return whole if self.columns is None else pa.schema([whole.field(name) for name in self.columns])

    def count(self) -> int | None:
        if self.predicate is not None:
            return None
        return int(self._dataset.count_rows())  # footers and the log: no rows are read

    def size(self) -> int | None:
        return int(sum(group.total_byte_size for file in self._files for group in file.row_groups))

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, ...]]:
        files = self._files
        count = max(1, min(len(files), parallelism.count(len(files), self.size() or 0)))
        bounds = [len(files) * index // count for index in range(count + 1)]
        return [tuple(range(bounds[index], bounds[index + 1])) for index in range(count)]

    def read(self, params: tuple[int, ...]) -> Iterator[pa.Table]:
        files, schema = self._files, self.schema()
        condition = None if self.predicate is None else self.predicate.to_pyarrow()
        for index in params:
            scan = files[index].scanner(
                schema=self._dataset.schema, columns=schema.names, filter=condition, use_threads=False
            )
            yield scan.to_table().replace_schema_metadata(None)

    def select(self, columns: Sequence[str]) -> RowSource:
        check_columns(columns, self._dataset.schema.names)
        return replace(self, columns=tuple(columns))

    def where(self, predicate: Expr) -> RowSource | None:
        try:
            predicate.to_pyarrow()
        except NotImplementedError:
            return None
        if self.columns is not None and not predicate.columns() <= set(self.columns):
            return None
        return replace(self, predicate=predicate if self.predicate is None else self.predicate & predicate)

    def input_files(self) -> list[str]:
        return [str(file.path) for file in self._files]
