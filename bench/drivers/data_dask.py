"""Driver of Dask's frames, on a local cluster of one process for each core."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from bench.drivers import data_files, data_functions, protocol
from bench.drivers.data_files import timed


def pipeline(params: Mapping[str, Any]) -> int:
    with data_files.target() as folder:
        texts = dd.read_parquet(params["folder"])
        meta = texts._meta.assign(text_length=pd.Series(dtype="int64"))
        found = texts.map_partitions(data_functions.with_length, meta=meta)
        found[found["text_length"] > 50].to_parquet(folder)
        return len(dd.read_parquet(folder))


def groupby_mean(params: Mapping[str, Any]) -> object:
    return dd.read_parquet(params["folder"], columns=["key", "value"]).groupby("key")["value"].mean().compute()


def sort(params: Mapping[str, Any]) -> object:
    return dd.read_parquet(params["folder"]).sort_values("value").compute()


def join(params: Mapping[str, Any]) -> object:
    sides = dd.read_parquet(params["second"], columns=["id", "side"])
    facts = dd.read_parquet(params["folder"], columns=["other", "value"])
    return facts.merge(sides, left_on="other", right_on="id").compute()


@cache
def _small(rows: int) -> Any:
    return dd.from_pandas(pd.DataFrame({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7}), npartitions=1)


def small_groupby(params: Mapping[str, Any]) -> object:
    return _small(int(params["rows"])).groupby("key")["value"].mean().compute().to_dict()


def main() -> None:
    works = (pipeline, groupby_mean, sort, join, small_groupby)
    cases = {work.__name__: partial(timed, work) for work in works}
    cluster = LocalCluster(n_workers=max(2, os.cpu_count() or 2), threads_per_worker=1, dashboard_address=None)
    client = Client(cluster)
    protocol.serve(cases, version("dask"), client.close)
    cluster.close()


if __name__ == "__main__":
    main()
