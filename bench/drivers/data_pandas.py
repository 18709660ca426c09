"""Driver of one process of pandas: what a user writes who has no other library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.drivers import data_files, data_functions, protocol
from bench.drivers.data_files import files, timed


def pipeline(params: Mapping[str, Any]) -> int:
    """File by file, as the seed's program does its batches."""
    with data_files.target() as folder:
        for path in files(params):
            batch = data_functions.with_length(pd.read_parquet(path))
            kept = batch[[data_functions.keeps_long(row) for row in batch[["text_length"]].to_dict("records")]]
            kept.to_parquet(Path(folder, Path(path).name))
        return sum(len(pd.read_parquet(path, columns=["id"])) for path in Path(folder).iterdir())


def groupby_mean(params: Mapping[str, Any]) -> object:
    return pd.read_parquet(params["folder"], columns=["key", "value"]).groupby("key")["value"].mean()


def sort(params: Mapping[str, Any]) -> object:
    return pd.read_parquet(params["folder"]).sort_values("value")


def join(params: Mapping[str, Any]) -> object:
    sides = pd.read_parquet(params["second"], columns=["id", "side"])
    return pd.read_parquet(params["folder"], columns=["other", "value"]).merge(sides, left_on="other", right_on="id")


@cache
def _small(rows: int) -> Any:
    return pd.DataFrame({"key": np.arange(rows) % 10, "value": np.arange(rows) / 7})


def small_groupby(params: Mapping[str, Any]) -> object:
    return _small(int(params["rows"])).groupby("key")["value"].mean().to_dict()


def small_map(params: Mapping[str, Any]) -> object:
    return [data_functions.row_plus_one({"id": number}) for number in range(int(params["rows"]))]


if __name__ == "__main__":
    works = (pipeline, groupby_mean, sort, join, small_groupby, small_map)
    cases = {work.__name__: partial(timed, work) for work in works}
    protocol.serve(cases, version("pandas"))
