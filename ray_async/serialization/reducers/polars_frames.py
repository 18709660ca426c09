"""Polars' frames and series, as Arrow tables: polars' own pickles copy them twice and know no views."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

__all__ = ("reduce_frame", "reduce_lazy_frame", "reduce_series")

# Types that come back from Arrow as they were; others go polars' own way.
_FAITHFUL = {
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64"),
    *("Boolean", "String", "Binary", "Date", "Time", "Datetime", "Duration", "Decimal", "Categorical", "Enum", "Null"),
}


def reduce_frame(frame: Any) -> Any:
    """A frame as an Arrow table.

    Raises:
        TypeError: a column holds Python objects.
    """
    polars: Any = sys.modules["polars"]
    if type(frame) is not polars.DataFrame or not frame.width or find_spec("pyarrow") is None:
        return NotImplemented
    objects = [name for name, dtype in frame.schema.items() if _holds_objects(dtype)]
    if objects:
        raise TypeError(
            f"column {objects[0]!r} of a polars frame holds Python objects (dtype Object), which polars cannot "
            "serialize: turn it into another dtype, or pass its values as a list"
        )
    if not all(_is_faithful(dtype) for dtype in frame.dtypes):
        return NotImplemented
    flags = frame.flags
    ascending = [name for name in frame.columns if flags[name].get("SORTED_ASC")]
    descending = [name for name in frame.columns if flags[name].get("SORTED_DESC")]
    return rebuild_frame, (frame.to_arrow(compat_level=polars.CompatLevel.newest()), ascending, descending)


def rebuild_frame(table: Any, ascending: list[str], descending: list[str]) -> Any:
    """A frame over the memory of an Arrow table, with its columns marked as sorted that were."""
    import polars

    frame: Any = polars.from_arrow(table, rechunk=False)
    frame.columns = table.column_names  # a column without a name would get one
    marked = [frame[name].set_sorted(descending=False) for name in ascending]
    marked += [frame[name].set_sorted(descending=True) for name in descending]
    return frame.with_columns(marked) if marked else frame


def reduce_series(series: Any) -> Any:
    """A series as a table of one column."""
    polars: Any = sys.modules["polars"]
    if type(series) is not polars.Series:
        return NotImplemented
    reduced = reduce_frame(series.to_frame())
    return NotImplemented if reduced is NotImplemented else (rebuild_series, reduced[1])


def rebuild_series(table: Any, ascending: list[str], descending: list[str]) -> Any:
    """The only column of a frame."""
    return rebuild_frame(table, ascending, descending).to_series()


def reduce_lazy_frame(lazy: Any) -> Any:
    """A frame that was made lazy goes as the frame; a query goes as polars pickles it, with its frames inside."""
    polars: Any = sys.modules["polars"]
    plan = lazy.explain(optimized=False) if type(lazy) is polars.LazyFrame else ""
    if not plan.startswith("DF [") or "\n" in plan:
        return NotImplemented
    scan = lazy._ldf.visit().view_current_node()
    if scan.projection is not None or scan.selection is not None:
        return NotImplemented
    reduced = reduce_frame(polars.DataFrame._from_pydf(scan.df))
    return NotImplemented if reduced is NotImplemented else (rebuild_lazy_frame, reduced[1])


def rebuild_lazy_frame(table: Any, ascending: list[str], descending: list[str]) -> Any:
    """A frame, made lazy."""
    return rebuild_frame(table, ascending, descending).lazy()


def _parts(dtype: Any) -> list[Any]:
    """The types of a nested type's items or fields."""
    fields = getattr(dtype, "fields", None)
    if fields is not None:
        return [field.dtype for field in fields]
    inner = getattr(dtype, "inner", None)
    return [] if inner is None else [inner]


def _holds_objects(dtype: Any) -> bool:
    return str(dtype.base_type()) == "Object" or any(map(_holds_objects, _parts(dtype)))


def _is_faithful(dtype: Any) -> bool:
    name = str(dtype.base_type())
    parts = _parts(dtype)
    if name == "Array" and 0 in dtype.shape:
        return False
    return (name in _FAITHFUL or (name in ("List", "Array", "Struct") and bool(parts))) and all(
        map(_is_faithful, parts)
    )
