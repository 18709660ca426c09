"""Aggregations with a name: counts, sums, extremes, means, quantiles, values.

All but `Count` pass over nulls unless ``ignore_nulls=False``, and then NaN too; of no value at all they give None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.columns import column_of_values, python_of
from ray_async.data.block.tensors import PythonObjectType

__all__ = (
    "AbsMax",
    "Aggregation",
    "ArrowAggregate",
    "AsList",
    "Count",
    "CountDistinct",
    "Max",
    "Mean",
    "Min",
    "MissingValuePercentage",
    "Quantile",
    "Std",
    "Sum",
    "Unique",
    "ValueCounter",
    "ZeroPercentage",
)


@dataclass(frozen=True)
class ArrowAggregate:
    """A function of Arrow's for groups.

    Attributes:
        function: its name without ``hash_``.
        column: its argument; None for the rows themselves.
        options: its options.
        least: values that it needs; of fewer, but one at least, it gives NaN.
    """

    function: str
    column: pa.ChunkedArray | None
    options: Any = None
    least: int = 1


class Aggregation:
    """What is computed of each group.

    Args:
        name: of the column that it makes.
        on: the column that it reads; None for whole rows.
        ignore_nulls: whether to pass over nulls and NaN.
    """

    #: Whether it looks at no column when it has none of its own.
    counts_rows = False

    def __init__(self, name: str, *, on: str | None, ignore_nulls: bool) -> None:
        if on is not None and not isinstance(on, str):
            raise TypeError(f"an aggregation reads a column, whose name is a text, but got {on!r}")
        self.name = name
        self.on = on
        self.ignore_nulls = ignore_nulls

    def get_target_column(self) -> str | None:
        """The column that it reads."""
        return self.on

    def arrow(self, table: pa.Table) -> ArrowAggregate | None:
        """The function of Arrow's that does it for this table; None if there is none, then `of_group` is called."""
        return None

    def of_group(self, group: pa.Table) -> Any:
        """The value for one group's rows."""
        raise NotImplementedError

    def finished(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """What becomes of the values that Arrow's function gave."""
        return column

    def column_of(self, values: list[Any]) -> pa.Array:
        """A column of what `of_group` gave."""
        return column_of_values(values)

    def type_of(self, schema: pa.Schema) -> pa.DataType | None:
        """The type of its column; None if only running it tells."""
        return None

    def _values(self, table: pa.Table) -> pa.ChunkedArray:
        """The column that it reads, with null for NaN where nulls do not count."""
        column = table.column(self.on)
        if self.ignore_nulls and pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        return column

    def _scalar_options(self) -> pc.ScalarAggregateOptions:
        return pc.ScalarAggregateOptions(skip_nulls=self.ignore_nulls, min_count=1)

    def _number_column(self, table: pa.Table, what: str) -> pa.ChunkedArray:
        column = self._values(table)
        kind = column.type
        types = pa.types
        if types.is_null(kind):
            return column.cast(pa.float64())
        number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
        if not (number or (types.is_duration(kind) and what in ("sum", "mean"))):
            found = "has values of different kinds" if isinstance(kind, PythonObjectType) else f"is {kind}"
            raise TypeError(f"{what} needs numbers, but column {self.on!r} {found}")
        return column

    def __repr__(self) -> str:
        return self.name


class Count(Aggregation):
    """Number of rows, or of values of a column; nulls count unless ``ignore_nulls``."""

    counts_rows = True

    def __init__(self, on: str | None = None, ignore_nulls: bool = False, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"count({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def arrow(self, table: pa.Table) -> ArrowAggregate:
        if self.on is None or not self.ignore_nulls:
            return ArrowAggregate("count_all", None)
        return ArrowAggregate(
            "sum", self._values(table).is_valid().cast(pa.int64()), pc.ScalarAggregateOptions(min_count=0)
        )

    def type_of(self, schema: pa.Schema) -> pa.DataType:
        return pa.int64()


class Sum(Aggregation):
    """Sum of a column's numbers.

    Raises:
        OverflowError: The sum of integers does not fit into 64 bits.
    """

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"sum({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def arrow(self, table: pa.Table) -> ArrowAggregate:
        column = self._number_column(table, "sum")
        if pa.types.is_integer(column.type) and column.type.bit_width == 64 and _may_overflow(column):
            column = column.cast(pa.decimal128(38, 0))
        return ArrowAggregate("sum", column, self._scalar_options())

    def finished(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if not (pa.types.is_decimal(column.type) and column.type.scale == 0 and column.type.precision == 38):
            return column
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            raise OverflowError(f"{self.name} does not fit into 64 bits") from None

    def type_of(self, schema: pa.Schema) -> pa.DataType | None:
        kind = None if self.on is None else schema.field(self.on).type
        if kind is None or pa.types.is_floating(kind):
            return None if kind is None else pa.float64()
        return pa.int64() if pa.types.is_signed_integer(kind) else None


def _may_overflow(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column).as_py()
    largest = max(abs(bounds["min"] or 0), abs(bounds["max"] or 0))
    return bool(largest * len(column) >= 1 << 63)


class _Extreme(Aggregation):
    _word = ""

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"{self._word}({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def arrow(self, table: pa.Table) -> ArrowAggregate | None:
        column = self._values(table)
        if pa.types.is_null(column.type):
            column = column.cast(pa.float64())
        plain = pa.types.is_primitive(column.type) or pa.types.is_decimal(column.type)
        return ArrowAggregate(self._word, column, self._scalar_options()) if plain else None

    def of_group(self, group: pa.Table) -> Any:
        column = group.column(self.on)
        if column.null_count and not self.ignore_nulls:
            return None
        values = [value for value in python_of(column) if value is not None]
        if not values:
            return None
        return min(values) if self._word == "min" else max(values)

    def type_of(self, schema: pa.Schema) -> pa.DataType | None:
        return None if self.on is None else schema.field(self.on).type


class Min(_Extreme):
    """The smallest value of a column."""

    _word = "min"


class Max(_Extreme):
    """The largest value of a column."""

    _word = "max"


class Mean(Aggregation):
    """Mean of a column's numbers."""

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"mean({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def arrow(self, table: pa.Table) -> ArrowAggregate:
        return ArrowAggregate("mean", self._number_column(table, "mean"), self._scalar_options())

    def type_of(self, schema: pa.Schema) -> pa.DataType | None:
        kind = None if self.on is None else schema.field(self.on).type
        plain = kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))
        return pa.float64() if plain else None


class Std(Aggregation):
    """Standard deviation of a column's numbers.

    Args:
        ddof: what is subtracted from the number of values in the divisor.
    """

    def __init__(
        self, on: str | None = None, ddof: int = 1, ignore_nulls: bool = True, alias_name: str | None = None
    ) -> None:
        super().__init__(alias_name or f"std({on or ''})", on=on, ignore_nulls=ignore_nulls)
        self.ddof = ddof

    def of_group(self, group: pa.Table) -> Any:
        values = self._number_column(group, "std")
        if values.null_count and not self.ignore_nulls:
            return None
        numbers = values.drop_null().cast(pa.float64()).to_numpy()
        if not len(numbers):
            return None
        return float(np.std(numbers, ddof=self.ddof)) if len(numbers) > self.ddof else float("nan")

    def arrow(self, table: pa.Table) -> ArrowAggregate:
        options = pc.VarianceOptions(ddof=self.ddof, skip_nulls=self.ignore_nulls, min_count=1)
        column = self._number_column(table, "std")
        return ArrowAggregate("stddev", column.cast(pa.float64()), options, least=self.ddof + 1)

    def type_of(self, schema: pa.Schema) -> pa.DataType:
        return pa.float64()


class AbsMax(Max):
    """The largest absolute value of a column."""

    _word = "max"

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(on, ignore_nulls, alias_name or f"abs_max({on or ''})")

    def _values(self, table: pa.Table) -> pa.ChunkedArray:
        return pc.abs(super()._values(table))


class Quantile(Aggregation):
    """A quantile of a column's numbers, interpolated between neighbours.

    Args:
        q: from 0 to 1.
    """

    def __init__(
        self, on: str | None = None, q: float = 0.5, ignore_nulls: bool = True, alias_name: str | None = None
    ) -> None:
        super().__init__(alias_name or f"quantile({on or ''})", on=on, ignore_nulls=ignore_nulls)
        self.q = q

    def of_group(self, group: pa.Table) -> Any:
        column = self._values(group)
        if column.null_count and not self.ignore_nulls:
            return None
        found = pc.quantile(column, q=self.q)[0].as_py() if len(column) > column.null_count else None
        return None if found is None else float(found)

    def type_of(self, schema: pa.Schema) -> pa.DataType:
        return pa.float64()

    def column_of(self, values: list[Any]) -> pa.Array:
        return pa.array(values, type=pa.float64())


class _OfValues(Aggregation):
    """Aggregations of the values of a group as Python objects."""

    def _objects(self, group: pa.Table) -> list[Any]:
        values = python_of(group.column(self.on))
        return [value for value in values if value is not None] if self.ignore_nulls else values


class Unique(_OfValues):
    """The different values of a column, as a list in order of first appearance.

    Args:
        encode_lists: whether the items of lists count, and not the lists.
    """

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
        encode_lists: bool = False,
    ) -> None:
        super().__init__(alias_name or f"unique({on or ''})", on=on, ignore_nulls=ignore_nulls)
        self.encode_lists = encode_lists

    def of_group(self, group: pa.Table) -> Any:
        values = self._objects(group)
        if self.encode_lists:
            values = [item for value in values for item in (value if isinstance(value, list) else [value])]
            values = [value for value in values if value is not None or not self.ignore_nulls]
        return distinct(values)


class CountDistinct(_OfValues):
    """The number of different values of a column."""

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"count_distinct({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def of_group(self, group: pa.Table) -> Any:
        return len(distinct(self._objects(group)))

    def type_of(self, schema: pa.Schema) -> pa.DataType:
        return pa.int64()


class AsList(_OfValues):
    """All values of a column, as a list in the order of the rows."""

    def __init__(self, on: str | None = None, ignore_nulls: bool = False, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"list({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def of_group(self, group: pa.Table) -> Any:
        return self._objects(group)


class ValueCounter(_OfValues):
    """The different values of a column, and how often each appears: a struct of lists, ``values`` and ``counts``."""

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"value_counter({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def of_group(self, group: pa.Table) -> Any:
        counts: dict[Any, int] = {}
        values: dict[Any, Any] = {}
        for value in self._objects(group):
            key = hashable(value)
            values.setdefault(key, value)
            counts[key] = counts.get(key, 0) + 1
        return {"values": list(values.values()), "counts": list(counts.values())}


class MissingValuePercentage(Aggregation):
    """The share of null and NaN among a column's values, in per cent."""

    def __init__(self, on: str | None = None, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"missing_pct({on or ''})", on=on, ignore_nulls=False)

    def of_group(self, group: pa.Table) -> Any:
        missing = pc.sum(pc.is_null(group.column(self.on), nan_is_null=True)).as_py() or 0
        return 100.0 * missing / group.num_rows if group.num_rows else None


class ZeroPercentage(Aggregation):
    """The share of zeros among a column's values, in per cent."""

    def __init__(self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        super().__init__(alias_name or f"zero_pct({on or ''})", on=on, ignore_nulls=ignore_nulls)

    def of_group(self, group: pa.Table) -> Any:
        column = self._values(group)
        total = len(column) - (column.null_count if self.ignore_nulls else 0)
        if not total or pa.types.is_null(column.type):
            return 0.0 if total else None
        zeros = pc.sum(pc.equal(column, pa.scalar(0, column.type))).as_py() or 0
        return 100.0 * zeros / total


def distinct(values: list[Any]) -> list[Any]:
    """Values without those that were there before; NaN is equal to NaN here."""
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(hashable(value), value)
    return list(found.values())


def hashable(value: Any) -> Any:
    """A key that equal values share, also for lists, dicts and arrays; True is not 1 here."""
    if isinstance(value, float) and value != value:
        return (float, "nan")
    if isinstance(value, dict):
        return (dict, tuple((name, hashable(item)) for name, item in value.items()))
    if isinstance(value, (list, tuple, set, frozenset)):
        items = tuple(hashable(item) for item in value)
        return (type(value), frozenset(items) if isinstance(value, (set, frozenset)) else items)
    if isinstance(value, np.ndarray):
        return (np.ndarray, value.shape, value.dtype.str, value.tobytes())
    return (bool, value) if isinstance(value, bool) else value
