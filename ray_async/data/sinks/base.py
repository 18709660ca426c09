"""The base of all sinks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

__all__ = ("Receipt", "RowSink")

#: What one write has made: plain values, at least ``rows``.
Receipt = Mapping[str, Any]


class RowSink(ABC):
    """Where rows go: picklable. `prepare`, `commit` and `abort` run in the driver, `write` in workers."""

    #: For plans, errors and statistics.
    name: str = "Write"

    @abstractmethod
    def prepare(self) -> bool:
        """Make ready, before anything is run; False if nothing is to be written at all.

        Raises:
            ValueError: The sink must not be written to.
        """

    @abstractmethod
    def write(self, tables: Iterable[pa.Table], number: int) -> Iterator[Receipt]:
        """Write the tables of one call; a call that is run again has the same number and replaces what it wrote."""

    @abstractmethod
    def commit(self, receipts: Sequence[Receipt], schema: pa.Schema | None) -> None:
        """Publish what was written.

        Args:
            receipts: of all calls, in order of the rows.
            schema: the dataset's, if it is known; for a result without rows.
        """

    @abstractmethod
    def abort(self, error: BaseException) -> None:
        """Remove what was written, since something has failed."""
