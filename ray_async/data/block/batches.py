"""Batches: the forms in which functions see a block, and blocks made of what they return."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import column_of_array, column_of_values, numpy_of
from ray_async.data.block.frames import KnownTexts, frame_of, table_of_frame
from ray_async.data.block.gpu import from_gpu, is_on_gpu, to_gpu
from ray_async.data.block.rows import empty_rows
from ray_async.data.block.schema import concatenated

__all__ = ("BATCH_FORMATS", "batch_of", "check_batch_format", "resized", "sized_batches", "table_of_batch")

#: The names that `batch_format` may have; None is the block itself.
BATCH_FORMATS = ("default", "numpy", "pandas", "pyarrow", "polars", "cupy")


def check_batch_format(name: str | None) -> str | None:
    """The name of a batch format, "numpy" for "default".

    Raises:
        ValueError: There is no such format.
    """
    if name is not None and name not in BATCH_FORMATS:
        raise ValueError(f"batch_format must be None or one of {', '.join(map(repr, BATCH_FORMATS))}, but is {name!r}")
    return "numpy" if name == "default" else name


def batch_of(table: pa.Table, batch_format: str | None, *, writable: bool = False) -> Any:
    """A table in a batch format.

    Args:
        table: the rows.
        batch_format: what `check_batch_format` returned.
        writable: whether NumPy arrays must be copies that may be changed; else they may be read-only views.
    """
    if batch_format == "numpy":
        return {name: _array(table.column(i), writable) for i, name in enumerate(table.column_names)}
    if batch_format == "pandas":
        return frame_of(table)
    if batch_format == "polars":
        import polars

        return polars.from_arrow(table)
    if batch_format == "cupy":
        return to_gpu({name: numpy_of(table.column(i)) for i, name in enumerate(table.column_names)})
    return table


def _array(column: pa.ChunkedArray, writable: bool) -> np.ndarray[Any, Any]:
    array = numpy_of(column)
    return array.copy() if writable and not array.flags.writeable else array


def table_of_batch(batch: Any, texts: KnownTexts | None = None) -> pa.Table:
    """A table of what a batch function returned.

    Args:
        batch: a dict of columns (arrays, lists, tuples, series, tensors), a DataFrame of pandas or polars, or an Arrow
            table or record batch.
        texts: texts of frames that were given to the function, which need not be converted if they came back.

    Raises:
        ValueError: It is something else, or its columns differ in length.
    """
    if isinstance(batch, pa.Table):
        return batch
    if isinstance(batch, pa.RecordBatch):
        return pa.Table.from_batches([batch])
    if isinstance(batch, Mapping):
        return _table_of_columns(batch)
    module = type(batch).__module__.partition(".")[0]
    if module == "pandas" and type(batch).__name__ == "DataFrame":
        return table_of_frame(batch, texts)
    if module == "polars" and type(batch).__name__ == "DataFrame":
        return batch.to_arrow()
    raise ValueError(
        f"a batch function must return a dict of columns, a DataFrame or an Arrow table, but returned {_said(batch)}"
    )


def _table_of_columns(columns: Mapping[Any, Any]) -> pa.Table:
    arrays, names = [], []
    for name, values in columns.items():
        if not isinstance(name, str):
            raise ValueError(f"names of columns are texts, but a batch has {name!r}")
        arrays.append(_column(name, values))
        names.append(name)
    lengths = {name: len(array) for name, array in zip(names, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r}: {length}" for name, length in lengths.items())
        raise ValueError(f"All arrays must be of the same length, but a batch function returned {shown}")
    return pa.Table.from_arrays(arrays, names=names) if arrays else empty_rows(0)


def _column(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, np.ndarray):
        if values.ndim == 0:
            raise ValueError(f"column {name!r} of a batch needs a value for each row, but is the single {values!r}")
        return column_of_array(values)
    if isinstance(values, (list, tuple)):
        return column_of_values(values)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if is_on_gpu(values):
        return _column(name, from_gpu(values))
    module = type(values).__module__.partition(".")[0]
    if module == "pandas" and hasattr(values, "to_numpy"):
        return table_of_frame(values.to_frame("0")).column(0)
    if module == "polars" and hasattr(values, "to_arrow"):
        return values.to_arrow()
    if hasattr(values, "__array__") and not np.isscalar(values):
        return _column(name, np.asarray(values))
    raise ValueError(
        f"column {name!r} of a batch must be an array or a list with a value for each row, but is {_said(values)}"
    )


def _said(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def resized(tables: Iterable[pa.Table], rows: int | None, *, drop_last: bool = False) -> Iterator[pa.Table]:
    """Tables of exactly so many rows each out of a stream of tables; the last may have fewer.

    Args:
        tables: the stream.
        rows: rows of each table that comes out; None passes tables on as they are, without the empty ones.
        drop_last: whether to leave out a last table with fewer rows.
    """
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        if rows is None:
            if table.num_rows:
                passed = [table]
                del table
                yield passed.pop()
            continue
        start = 0
        while count + table.num_rows - start >= rows:
            take = rows - count
            held.append(table.slice(start, take))
            yield concatenated(held)
            start += take
            held, count = [], 0
        if start < table.num_rows:
            held.append(table.slice(start))
            count += table.num_rows - start
    if held and not drop_last:
        yield concatenated(held)


def sized_batches(
    tables: Iterable[pa.Table], rows: int | None, batch_format: str | None, *, drop_last: bool = False
) -> Iterator[Any]:
    """Batches of exactly so many rows each out of a stream of tables; the last may have fewer.

    Args:
        tables: the stream.
        rows: rows of each batch; None makes a batch of each table.
        batch_format: what `check_batch_format` returned.
        drop_last: whether to leave out a last batch with fewer rows.
    """
    if batch_format != "numpy" or rows is None:
        for table in resized(tables, rows, drop_last=drop_last):
            yield batch_of(table, batch_format)
        return
    rest: list[pa.Table] = []
    for table in tables:
        start = 0
        if rest:  # the batch that began with earlier tables
            start = min(table.num_rows, rows - sum(part.num_rows for part in rest))
            rest.append(table.slice(0, start))
            if sum(part.num_rows for part in rest) < rows:
                continue
            yield batch_of(concatenated(rest), batch_format)
            rest = []
        # Slices of a table's arrays cost a tenth of what arrays of the table's slices do.
        arrays = views_of(table) if table.num_rows - start >= rows else None
        while table.num_rows - start >= rows:
            stop = start + rows
            if arrays is None:
                yield batch_of(table.slice(start, rows), batch_format)
            else:
                yield {name: array[start:stop] for name, array in arrays.items()}
            start = stop
        if start < table.num_rows:
            rest = [table.slice(start)]
    if rest and not drop_last:
        yield batch_of(concatenated(rest), batch_format)


def views_of(table: pa.Table) -> dict[str, np.ndarray[Any, Any]] | None:
    """The columns as arrays over the table's own memory; None where one has to be copied."""
    arrays = {}
    for name, kind, column in zip(table.column_names, table.schema.types, table.columns, strict=True):
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if not number or column.num_chunks != 1 or column.null_count:
            return None
        arrays[name] = numpy_of(column)
    return arrays or None
