"""Driver of Daft, with its own runner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

os.environ["DO_NOT_TRACK"] = "1"
os.environ["DAFT_PROGRESS_BAR"] = "0"

import daft
import numpy as np

from bench.drivers import data_files, protocol
from bench.drivers.data_files import timed


def pipeline(params: Mapping[str, Any]) -> int:
    with data_files.target() as folder:
        found = daft.read_parquet(f"{params['folder']}/*.parquet")
        found = found.with_column("text_length", daft.col("text").length()).where(daft.col("text_length") > 50)
        found.write_parquet(folder)
        return int(daft.read_parquet(f"{folder}/*.parquet").count_rows())


def groupby_mean(params: Mapping[str, Any]) -> object:
    return daft.read_parquet(f"{params['folder']}/*.parquet").groupby("key").agg(daft.col("value").mean()).collect()


def sort(params: Mapping[str, Any]) -> object:
    return daft.read_parquet(f"{params['folder']}/*.parquet").sort("value").collect()


def join(params: Mapping[str, Any]) -> object:
    sides = daft.read_parquet(f"{params['second']}/*.parquet").select("id", "side")
    facts = daft.read_parquet(f"{params['folder']}/*.parquet").select("other", "value")
    return facts.join(sides, left_on="other", right_on="id").collect()


@cache
def _small(rows: int) -> Any:
    return daft.from_pydict({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7}).collect()


def small_groupby(params: Mapping[str, Any]) -> object:
    return _small(int(params["rows"])).groupby("key").agg(daft.col("value").mean()).sort("key").to_pylist()


if __name__ == "__main__":
    works = (pipeline, groupby_mean, sort, join, small_groupby)
    cases = {work.__name__: partial(timed, work) for work in works}
    protocol.serve(cases, daft.__version__)
