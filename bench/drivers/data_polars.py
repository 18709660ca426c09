"""Driver of Polars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bench.drivers import data_files, data_functions, data_tpch, protocol
from bench.drivers.data_files import files, timed


def pipeline(params: Mapping[str, Any]) -> int:
    """The same work in Polars' own terms, without a function of Python's."""
    with data_files.target() as folder:
        scan = pl.scan_parquet(files(params)).with_columns(text_length=pl.col("text").str.len_chars())
        scan.filter(pl.col("text_length") > 50).sink_parquet(Path(folder, "out.parquet"))
        return int(pl.scan_parquet(Path(folder, "out.parquet")).select(pl.len()).collect().item())


def groupby_mean(params: Mapping[str, Any]) -> object:
    return pl.scan_parquet(files(params)).group_by("key").agg(pl.col("value").mean()).sort("key").collect()


def sort(params: Mapping[str, Any]) -> object:
    return pl.scan_parquet(files(params)).sort("value").collect()


def join(params: Mapping[str, Any]) -> object:
    sides = pl.scan_parquet(files(params, "second")).select("id", "side")
    facts = pl.scan_parquet(files(params)).select("other", "value")
    return facts.join(sides, left_on="other", right_on="id").collect()


@cache
def _small(rows: int) -> Any:
    return pl.DataFrame({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7})


def small_groupby(params: Mapping[str, Any]) -> object:
    return _small(int(params["rows"])).group_by("key").agg(pl.col("value").mean()).sort("key").to_dicts()


def small_map(params: Mapping[str, Any]) -> object:
    rows = pl.DataFrame({"id": np.arange(int(params["rows"]))}).to_dicts()
    return [data_functions.row_plus_one(row) for row in rows]


def main() -> None:
    works = (pipeline, groupby_mean, sort, join, small_groupby, small_map)
    cases = {work.__name__: partial(timed, work) for work in works}
    cases |= {name: partial(timed, query(make)) for name, make in data_tpch.POLARS_QUERIES.items()}
    protocol.serve(cases, pl.__version__)


def query(make: Callable[[str], Any]) -> Callable[[Mapping[str, Any]], object]:
    """A query over the tables of TPC-H."""
    return lambda params: make(str(params["tpch"])).collect()


if __name__ == "__main__":
    main()
