"""Driver of DuckDB; what is larger than `store_bytes` goes to files, as it is told by its memory limit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from bench.drivers import data_files, data_tpch, protocol
from bench.drivers.data_files import timed


@contextlib.contextmanager
def connection(params: Mapping[str, Any]) -> Iterator[Any]:
    """A connection of its own, with a limit on memory if the case has one."""
    with data_files.target() as folder, duckdb.connect() as found:
        found.execute(f"set temp_directory = '{folder}'")
        if "store_bytes" in params:
            found.execute(f"set memory_limit = '{int(params['store_bytes'])}B'")
            found.execute("set preserve_insertion_order = false")
        yield found


def _source(params: Mapping[str, Any], name: str = "folder") -> str:
    return f"read_parquet('{params[name]}/*.parquet')"


def pipeline(params: Mapping[str, Any]) -> int:
    with connection(params) as duck, data_files.target() as folder:
        lengths = f"select *, length(text) as text_length from {_source(params)} where length(text) > 50"
        duck.execute(f"copy ({lengths}) to '{folder}/out.parquet' (format parquet)")
        return int(duck.execute(f"select count(*) from '{folder}/out.parquet'").fetchone()[0])


def table_of(text: str) -> Any:
    """A case whose result is a table in memory."""

    def work(params: Mapping[str, Any]) -> object:
        names = {"facts": _source(params)} | ({"sides": _source(params, "second")} if "second" in params else {})
        with connection(params) as duck:
            return duck.execute(text.format(**names)).to_arrow_table()

    return work


def streamed(text: str) -> Any:
    """A case whose result is looked at and not kept."""

    def work(params: Mapping[str, Any]) -> int:
        with connection(params) as duck:
            reader = duck.execute(text.format(facts=_source(params))).to_arrow_reader(100_000)
            return sum(batch.num_rows for batch in reader)

    return work


@cache
def _small(rows: int) -> tuple[Any, Any]:
    table = pa.table({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7})
    duck = duckdb.connect()
    duck.register("small", table)
    return duck, table


def small_groupby(params: Mapping[str, Any]) -> object:
    duck, _ = _small(int(params["rows"]))
    return duck.execute("select key, avg(value) from small group by key order by key").fetchall()


def query(text: str) -> Any:
    """A query over the tables of TPC-H."""

    def work(params: Mapping[str, Any]) -> object:
        with connection(params) as duck:
            for table in data_tpch.TABLES:
                duck.execute(f"create view {table} as select * from '{params['tpch']}/{table}/*.parquet'")
            return duck.execute(text).to_arrow_table()

    return work


if __name__ == "__main__":
    works = {
        "pipeline": pipeline,
        "groupby_mean": table_of("select key, avg(value) from {facts} group by key order by key"),
        "sort": table_of("select * from {facts} order by value"),
        "join": table_of(
            "select f.other, f.value, s.side from (select other, value from {facts}) f "
            "join (select id, side from {sides}) s on f.other = s.id"
        ),
        "large_sort": streamed("select * from {facts} order by value"),
        "large_shuffle": streamed("select * from {facts} order by random()"),
        "small_groupby": small_groupby,
        **{name: query(text) for name, text in data_tpch.SQL_QUERIES.items()},
    }
    cases = {name: partial(timed, work) for name, work in works.items()}
    protocol.serve(cases, duckdb.__version__)
