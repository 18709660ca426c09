"""Cuts of sorted runs, and hashes of keys: what exchanges of rows rest on."""

import datetime
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.engine.cutting import SortKeys, cut_rows, cuts_of, with_places
from ray_async.data.engine.keys import key_hashes
from ray_async.data.engine.ordering import sorted_table

NAMES = ["a", "b"]


def random_run(rng: np.random.Generator, run: int, rows: int) -> pa.Table:
    """Rows with few values, nulls and NaN, and where each was."""
    a = [None if v < 0.1 else float("nan") if v < 0.2 else round(v, 1) for v in rng.random(rows)]
    b = [None if v < 0.1 else f"{v:.1f}" for v in rng.random(rows)]
    columns = {"a": pa.array(a, pa.float64()), "b": pa.array(b, pa.string())}
    return pa.table({**columns, "run": pa.array([run] * rows, pa.int64()), "row": np.arange(rows)})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("whole_groups", [False, True])
def test_parts_of_runs_are_the_sort_of_all_rows(seed: int, whole_groups: bool) -> None:
    rng = np.random.default_rng(seed)
    keys = SortKeys(("a", "b"), (bool(seed & 1), bool(seed & 2)))
    rows = [random_run(rng, run, count) for run, count in enumerate((100, 0, 57, 200))]
    runs = [sorted_table(table, keys.names, keys.descending) for table in rows]
    cuts = cuts_of(keys, [with_places(run.select(NAMES), 7) for run in runs], 9)
    bounds = [
        [0, *cut_rows(run.select(NAMES), keys, cuts, number, whole_groups), run.num_rows]
        for number, run in enumerate(runs)
    ]
    parts = []
    for part in range(len(cuts) + 1):
        slices = [run.slice(ends[part], ends[part + 1] - ends[part]) for run, ends in zip(runs, bounds, strict=True)]
        parts.append(sorted_table(pa.concat_tables(slices), keys.names, keys.descending))
    wanted = sorted_table(pa.concat_tables(rows), keys.names, keys.descending)
    assert pa.concat_tables(parts).select(["run", "row"]).equals(wanted.select(["run", "row"]))
    if whole_groups:
        groups = [{tuple(map(repr, row.values())) for row in part.select(NAMES).to_pylist()} for part in parts]
        assert sum(map(len, groups)) == len(set().union(*groups))
    else:
        assert max(part.num_rows for part in parts) < 2 * 357 / 9


def hashes(values: Any, kind: pa.DataType | None = None) -> list[int]:
    found: list[int] = key_hashes(pa.table({"k": pa.array(values, kind)}), ["k"]).tolist()
    return found


@pytest.mark.parametrize(
    "columns",
    [
        [pa.array([1, 2, None], kind) for kind in (pa.int8(), pa.uint64(), pa.float32(), pa.decimal128(6, 3))],
        [pa.array([0.0, float("nan")]), pa.array([-0.0, float("nan")])],
        [pa.array(["a", "é", None], kind) for kind in (pa.string(), pa.large_string(), pa.binary())],
        [pa.array(["x", "y", "x"]), pa.array(["x", "y", "x"]).dictionary_encode()],
        [pa.array([datetime.datetime(2020, 1, 1), None], pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")],
        [pa.array([datetime.datetime(2020, 1, 1)]), pa.array([datetime.date(2020, 1, 1)])],
        [pa.array([datetime.time(1, 2, 3)], kind) for kind in (pa.time32("s"), pa.time32("ms"), pa.time64("ns"))],
        [pa.array([Decimal("1.50")]), pa.array([1.5])],
        [pa.array([{"a": 1, "b": [1, 2]}]), pa.array([{"a": 1.0, "b": [1.0, 2.0]}])],
    ],
    ids=lambda columns: str(columns[0].type),
)
def test_equal_keys_have_equal_hashes_whatever_their_types(columns: list[pa.Array]) -> None:
    found = [hashes(column) for column in columns]
    assert all(each == found[0] for each in found)
    assert len(set(found[0])) == len(set(map(repr, columns[0].to_pylist())))


def test_several_keys_and_many_values_spread() -> None:
    table = pa.table({"i": np.arange(100_000), "t": [f"key {i}" for i in range(100_000)], "same": ["x"] * 100_000})
    for keys in (["i"], ["t"], ["same", "i"], ["i", "t"]):
        counts = np.bincount((key_hashes(table, keys) % np.uint64(64)).astype(np.int64), minlength=64)
        assert counts.min() > 1300 and counts.max() < 1850


def test_hashes_of_texts_are_the_same_in_every_process() -> None:
    program = (
        "import pyarrow as pa; from ray_async.data.engine.keys import key_hashes; "
        "print(key_hashes(pa.table({'k': ['a', 'bc', None]}), ['k']).tolist())"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(hashes(["a", "bc", None]))
