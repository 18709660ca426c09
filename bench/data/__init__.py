"""Benchmarks of Data: `python -m bench.data`.

The same harness as `bench`: subjects with rows, contenders that take turns, ratios within a round. A contender here is
a library over tables: one process of pandas, Polars, DuckDB, Daft, Dask, and Ray. Before a case is measured the harness
writes its tables as Parquet files, the same for all; while it is measured it samples the memory of all processes of the
contender.
"""
