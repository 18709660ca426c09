"""A contender of Data: its driver does the cases on files that the harness has made, and its memory is watched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.contender import DriverContender, Launch
from bench.data.tables import Tables
from bench.subject import OURS, Params

__all__ = ("PEERS", "FilesContender", "default_folder", "launches", "with_files")

PEERS = {
    "pandas": "data_pandas",
    "Polars": "data_polars",
    "DuckDB": "data_duckdb",
    "Daft": "data_daft",
    "Dask": "data_dask",
}


def launches(own_python: str, peer_python: str, ray_python: str | None) -> list[Launch]:
    """All contenders that the suite knows; which of them can be imported shows when they start.

    Args:
        own_python: interpreter of ray_async.
        peer_python: interpreter of the peers.
        ray_python: interpreter that has Ray, or None to leave Ray out.
    """
    found = [Launch(OURS, own_python, "data_ray", ("ray_async",))]
    found += [Launch(name, peer_python, module) for name, module in PEERS.items()]
    if ray_python is not None:
        found.append(Launch("Ray", ray_python, "data_ray", ("ray",)))
    return found


def with_files(params: Params, tables: Tables) -> Params:
    """A case's parameters with the folders of the tables that they name, which are made if they are not there.

    Args:
        params: `table` and `rows` name one table, `second` and `second_rows` another, `scale` those of TPC-H.
        tables: where they are.
    """
    found = dict(params)
    if "table" in params:
        found["folder"] = str(tables.folder(str(params["table"]), int(params["rows"])))
    if "second" in params:
        found["second"] = str(tables.folder(str(params["second"]), int(params["second_rows"])))
    if "scale" in params:
        found["tpch"] = str(tables.folder("tpch", scale=float(params["scale"])))
    return found


class FilesContender:
    """Measures cases in its driver, with the files that they need.

    Args:
        driver: the contender's driver.
        tables: the files.
    """

    def __init__(self, driver: DriverContender, tables: Tables) -> None:
        self.name = driver.name
        self._driver = driver
        self._tables = tables

    @property
    def version(self) -> str:
        """The version of what is driven."""
        return self._driver.version

    @property
    def absent(self) -> str:
        """Why it cannot be measured at all, if so."""
        return self._driver.absent

    def supports(self, case: str) -> bool:
        """Whether its driver has the case."""
        return self._driver.supports(case)

    def close(self) -> None:
        """End the driver."""
        self._driver.close()

    def measure(self, case: str, params: Params, fresh: bool) -> Mapping[str, float]:
        """Do a case once; `peak` is the memory of all its processes meanwhile.

        Raises:
            MeasurementError: it failed, or took too long.
        """
        watched = {**with_files(params, self._tables), "watch_memory": True}
        found = self._driver.measure(case, watched, fresh)
        # What was over before the first look has no peak.
        return {name: value for name, value in found.items() if name != "peak" or value}


def default_folder() -> Path:
    """Where tables are kept for the next run."""
    return Path(__file__).parents[2] / "build" / "bench-data"
