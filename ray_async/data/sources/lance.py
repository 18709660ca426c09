"""Lance datasets, by pylance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.optional import library

__all__ = ("LanceSource",)


@dataclass(frozen=True)
class LanceSource(RowSource):
    """One version of a dataset, read by its fragments.

    Attributes:
        uri: where it is.
        version: the number of the version, so that all reads see the same.
        columns: columns to read; None for all.
        condition: of rows to keep, as SQL; None keeps all.
        storage_options: of Lance.
        scanner_options: of Lance's scanner.
    """

    uri: str
    version: int
    columns: tuple[str, ...] | None = None
    condition: str | None = None
    storage_options: Mapping[str, str] | None = None
    scanner_options: Mapping[str, Any] = field(default_factory=dict)
    name = "Lance"

    @cached_property
    def _dataset(self) -> Any:
        options = None if self.storage_options is None else dict(self.storage_options)
        lance = library("lance", "pylance", "read_lance")
        return lance.dataset(self.uri, version=self.version, storage_options=options)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_dataset"}

    def schema(self) -> pa.Schema:
        whole = self._dataset.schema
        return whole if self.columns is None else pa.schema([whole.field(name) for name in self.columns])

    def count(self) -> int:
        return int(self._dataset.count_rows(filter=self.condition))

    def size(self) -> None:
        return None

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, ...]]:
        fragments = [fragment.fragment_id for fragment in self._dataset.get_fragments()]
        count = max(1, min(len(fragments), parallelism.blocks or 2 * parallelism.cpus))
        bounds = [len(fragments) * index // count for index in range(count + 1)]
        return [tuple(fragments[bounds[index] : bounds[index + 1]]) for index in range(count)]

    def read(self, params: tuple[int, ...]) -> Iterator[pa.Table]:
        for number in params:
            fragment = self._dataset.get_fragment(number)
            options = {"columns": list(self.schema().names), "filter": self.condition, **self.scanner_options}
            for batch in fragment.to_batches(**options):
                yield pa.Table.from_batches([batch])

    def select(self, columns: Sequence[str]) -> RowSource:
        check_columns(columns, self.schema().names)
        return replace(self, columns=tuple(columns))
