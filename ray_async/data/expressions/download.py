"""Downloads: the bytes of the files that a column names."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ray_async.data.expressions.expr import Expr, RowsExpr, col
from ray_async.data.sources.filesystem import resolved
from ray_async.data.sources.retrying import retried

__all__ = ("DownloadExpr", "download")

#: Files that one call fetches at a time.
AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class DownloadExpr(RowsExpr):
    """The bytes of the file that an expression names.

    Attributes:
        uri: paths and URIs.
        filesystem: as for reads.
    """

    uri: Expr
    filesystem: Any = None
    on_workers = True

    @property
    def type(self) -> pa.DataType:
        return pa.binary()

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return (self.uri,)

    def transformed(self, change: Callable[[Expr], Expr]) -> Expr:
        return change(DownloadExpr(self.uri.transformed(change), self.filesystem))

    def values(self, args: list[Any], rows: int, first_row: int) -> pa.Array:
        (column,) = args
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or column.null_count == rows):
            raise TypeError(f"download() needs paths and URIs, which are texts, but {self.uri!r} is {column.type}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(self._content, column.to_pylist()))
        large = sum(len(content) for content in found if content is not None) >= 1 << 31
        return pa.array(found, type=pa.large_binary() if large else pa.binary())

    def _content(self, uri: str | None) -> bytes | None:
        return None if uri is None else retried(partial(self._read, uri))

    def _read(self, uri: str) -> bytes:
        system, path = resolved(uri, self.filesystem)
        try:
            with system.open_input_stream(path, compression=None) as stream:
                return stream.read()  # type: ignore[no-any-return]
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {uri}") from None

    def __repr__(self) -> str:
        return f"download({self.uri!r})"


def download(uri_column_name: str, *, filesystem: Any = None) -> DownloadExpr:
    """The bytes of the files that a column names; null where the column is.

    Args:
        uri_column_name: the column of paths and URIs.
        filesystem: of pyarrow's or fsspec's; by default the one that each path names.

    Raises:
        FileNotFoundError: A file does not exist; `DataContext.max_errored_blocks` lets blocks fail.

    Example:
        >>> ds.with_column("bytes", download("uri"))
    """
    return DownloadExpr(col(uri_column_name), filesystem)
