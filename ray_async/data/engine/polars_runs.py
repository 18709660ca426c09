"""Relational runs in Polars: a sort or an aggregation of Parquet files, from the scan to the result in one call.

Polars reads, decodes and computes with all cores and without a block in between. It is used where its answer is known
to be the one that `ordering` and `grouping` give: plain files on local disks, all of one schema, with columns of the
types below. Polars starts its threads at its first query; that is in a worker, forked from a process without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation, Count, Max, Mean, Min, Std, Sum
from ray_async.data.block.schema import conformed

if TYPE_CHECKING:
    import polars as pl

__all__ = ("ScanRun", "can_aggregate", "can_scan")

_KNOWN = (Count, Sum, Min, Max, Mean, Std)
#: Beyond this, by floats, a sum of integers may have wrapped around.
_LARGEST_SUM = 2.0**62


def can_scan(schema: pa.Schema) -> bool:
    """Whether Polars holds all columns of a schema as they are."""
    types = pa.types
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    return find_spec("polars") is not None and all(
        any(check(kind) for check in plain) and kind != pa.float16() for kind in schema.types
    )


def can_aggregate(aggregations: tuple[Aggregation, ...], schema: pa.Schema) -> bool:
    """Whether Polars computes these as `grouping` does."""
    for aggregation in aggregations:
        if type(aggregation) not in _KNOWN:
            return False
        if isinstance(aggregation, Count):
            continue
        text = aggregation.on is not None and "string" in str(schema.field(aggregation.on).type)
        if not aggregation.ignore_nulls or (text and not isinstance(aggregation, (Min, Max))):
            return False
    return True


@dataclass(frozen=True)
class ScanRun:
    """A sort or an aggregation of whole Parquet files.

    Attributes:
        paths: the files, in order.
        schema: the columns that are read.
        keys: to sort or to group by.
        descending: directions of a sort.
        aggregations: what is computed of groups; None for a sort.
    """

    paths: tuple[str, ...]
    schema: pa.Schema
    keys: tuple[str, ...]
    descending: tuple[bool, ...] = ()
    aggregations: tuple[Aggregation, ...] | None = None

    def read(self, params: Any) -> Iterator[pa.Table]:
        """Run it; the parameters are not looked at, since there is one call."""
        import polars as pl

        scan = pl.scan_parquet(list(self.paths)).select(self.schema.names)
        if self.aggregations is None:
            yield conformed(self._sorted(scan).to_arrow(), self.schema)
            return
        table = self._aggregated(scan).to_arrow()
        self._check_sums(table)
        kinds = {name: self.schema.field(name).type for name in self.keys}
        for aggregation in self.aggregations:
            kinds[aggregation.name] = self._type(aggregation, table)
        yield conformed(table.select(list(kinds)), pa.schema(list(kinds.items())))

    def _sorted(self, scan: pl.LazyFrame) -> pl.DataFrame:
        import polars as pl

        by: list[pl.Expr] = []
        descending: list[bool] = []
        for key, down in zip(self.keys, self.descending, strict=True):
            if down and pa.types.is_floating(self.schema.field(key).type):
                by.append(pl.col(key).is_nan())  # NaN is the largest number, and shall come behind all others
                descending.append(False)
            by.append(pl.col(key))
            descending.append(down)
        return scan.sort(by, descending=descending, nulls_last=True, maintain_order=True).collect()

    def _aggregated(self, scan: pl.LazyFrame) -> pl.DataFrame:
        assert self.aggregations is not None
        exprs = [expr for aggregation in self.aggregations for expr in self._exprs(aggregation)]
        return scan.group_by(list(self.keys)).agg(exprs).sort(list(self.keys), nulls_last=True).collect()

    def _exprs(self, aggregation: Aggregation) -> list[pl.Expr]:
        import polars as pl

        name, on = aggregation.name, aggregation.on
        if on is None or (isinstance(aggregation, Count) and not aggregation.ignore_nulls):
            return [pl.len().cast(pl.Int64).alias(name)]
        kind = self.schema.field(on).type
        values = pl.col(on).fill_nan(None) if pa.types.is_floating(kind) else pl.col(on)
        if isinstance(aggregation, Count):
            return [values.count().cast(pl.Int64).alias(name)]
        if isinstance(aggregation, Sum):
            wide = values.cast(pl.Float64 if pa.types.is_floating(kind) else pl.Int64)
            total = pl.when(values.count() > 0).then(wide.sum()).alias(name)
            return [total, values.cast(pl.Float64).sum().alias(_about(name))]
        if isinstance(aggregation, Mean):
            return [values.cast(pl.Float64).mean().alias(name)]
        if isinstance(aggregation, Std):
            few = (values.count() > 0) & (values.count() <= aggregation.ddof)
            spread = values.cast(pl.Float64).std(ddof=aggregation.ddof)
            return [pl.when(few).then(float("nan")).otherwise(spread).alias(name)]
        return [(values.min() if isinstance(aggregation, Min) else values.max()).alias(name)]

    def _check_sums(self, table: pa.Table) -> None:
        """Refuse sums of integers that may have wrapped around.

        Raises:
            OverflowError: One does not fit into 64 bits.
        """
        for aggregation in self.aggregations or ():
            if isinstance(aggregation, Sum) and pa.types.is_integer(table.column(aggregation.name).type):
                about = [
                    abs(value) for value in table.column(_about(aggregation.name)).to_pylist() if value is not None
                ]
                if about and max(about) > _LARGEST_SUM:
                    raise OverflowError(f"{aggregation.name} does not fit into 64 bits")

    def _type(self, aggregation: Aggregation, table: pa.Table) -> pa.DataType:
        if isinstance(aggregation, (Min, Max)) and aggregation.on is not None:
            return self.schema.field(aggregation.on).type
        return table.column(aggregation.name).type


def _about(name: str) -> str:
    return f"{name} as a float"
