"""Joins of all kinds."""

import decimal
import random
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.engine.joining import JOIN_TYPES, joined, joined_slices
from ray_async.data.executor.blocks import LocalBlock, bundle_of_table, tables_of_bundles
from ray_async.data.executor.instructions import StageCall, StageResult
from ray_async.data.executor.worker import run_call
from ray_async.data.expressions import col
from ray_async.data.operators.joining import JoinRows, JoinStrategy
from ray_async.data.operators.map_operator import CallOperator

LEFT = [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}, {"id": None, "a": "z"}, {"id": 2, "a": "w"}]
RIGHT = [{"id": 2, "b": 20}, {"id": 3, "b": 30}, {"id": 2, "b": 21}, {"id": None, "b": 0}]
PAIRS = [
    {"id": 2, "a": "y", "b": 20},
    {"id": 2, "a": "y", "b": 21},
    {"id": 2, "a": "w", "b": 20},
    {"id": 2, "a": "w", "b": 21},
]
ONE, NONE = {"id": 1, "a": "x", "b": None}, {"id": None, "a": "z", "b": None}
THREE, ZERO = {"id": 3, "a": None, "b": 30}, {"id": None, "a": None, "b": 0}


def together(left: Any, right: Any, how: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        ray.data.from_items(left).join(ray.data.from_items(right), how, 2, **options).take_all()
    )
    return rows


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("inner", PAIRS),
        ("left_outer", [ONE, *PAIRS[:2], NONE, *PAIRS[2:]]),
        ("right_outer", [*PAIRS, THREE, ZERO]),
        ("full_outer", [ONE, *PAIRS[:2], NONE, *PAIRS[2:], THREE, ZERO]),
        ("left_semi", [LEFT[1], LEFT[3]]),
        ("left_anti", [LEFT[0], LEFT[2]]),
        ("right_semi", [RIGHT[0], RIGHT[2]]),
        ("right_anti", [RIGHT[1], RIGHT[3]]),
    ],
)
def test_all_kinds(how: str, expected: list[dict[str, Any]]) -> None:
    assert together(LEFT, RIGHT, how) == expected


@pytest.mark.parametrize("how", JOIN_TYPES)
@pytest.mark.parametrize("empty", ["left", "right", "both"])
def test_empty_sides_keep_their_columns(how: str, empty: str) -> None:
    left: Any = ray.data.from_items(LEFT)
    right: Any = ray.data.from_items(RIGHT)
    if empty != "right":
        left = left.filter(col("a") == "nothing")
    if empty != "left":
        right = right.filter(col("b") < -1)
    dataset = left.join(right, how, 1)
    side = (
        {"left": ["id", "a"], "right": ["id", "b"]}.get(how.split("_")[0], [])
        if how.endswith(("semi", "anti"))
        else None
    )
    assert dataset.columns() == (side or ["id", "a", "b"])
    assert dataset.materialize().columns() == dataset.columns()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parts", [None, 3])
def test_the_rows_of_pandas(seed: int, parts: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    if parts is not None:
        monkeypatch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", 500)
    left = pd.DataFrame({"k": [rng.randrange(20) for _ in range(50)], "j": [rng.choice("ab") for _ in range(50)]})
    right = pd.DataFrame({"k": [rng.randrange(25) for _ in range(40)], "j": [rng.choice("abc") for _ in range(40)]})
    left["x"], right["y"] = range(50), range(40)
    for how, word in (("inner", "inner"), ("left_outer", "left"), ("right_outer", "right"), ("full_outer", "outer")):
        expected = left.merge(right, on=["k", "j"], how=word)
        found = ray.data.from_pandas(left).join(ray.data.from_pandas(right), how, 1, on=("k", "j")).to_pandas()
        order = ["k", "j", "x", "y"]
        got, want = (f.astype({"x": float, "y": float}).sort_values(order)[order] for f in (found, expected))
        assert str(got.values.tolist()) == str(want.values.tolist())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.float64()),
        (pa.int32(), pa.int64()),
        (pa.uint8(), pa.int64()),
        (pa.string(), pa.large_string()),
        (pa.string(), pa.dictionary(pa.int32(), pa.string())),
        (pa.decimal128(4, 2), pa.decimal128(6, 2)),
        (pa.timestamp("us"), pa.timestamp("ns")),
    ],
    ids=str,
)
@pytest.mark.parametrize("small_calls", [False, True])
def test_keys_of_different_types(
    one: pa.DataType, other: pa.DataType, small_calls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if small_calls:
        monkeypatch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", 40)
    values: list[Any] = list(range(10))
    if pa.types.is_string(one):
        values = [f"text {value}" for value in values]
    elif pa.types.is_decimal(one):
        values = [decimal.Decimal(value) for value in values]
    sides = []
    for kind in (one, other):
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        array = (
            pa.array(values, type=plain)
            if not pa.types.is_timestamp(kind)
            else pa.array(values, pa.int64()).cast(pa.timestamp("s")).cast(kind)
        )
        sides.append(ray.data.from_arrow(pa.table({"id": array.dictionary_encode() if plain is not kind else array})))
    for pair in (sides, sides[::-1]):
        for partitions in (1, 7, 200):
            assert pair[0].join(pair[1], "inner", partitions).count() == 10


def test_numbers_are_compared_exactly() -> None:
    assert together([{"id": 2**53 + 1}], [{"id": 2.0**53}], "inner") == []
    assert together([{"id": 2**53}], [{"id": 2.0**53}], "inner") == [{"id": 2**53}]
    assert together([{"id": "é"}], [{"id": "e\u0301"}], "inner") == []


def test_names() -> None:
    left, right = [{"id": 1, "v": 1}], [{"key": 1, "v": 2}]
    assert together(left, right, "inner", right_on=("key",), right_suffix="_r") == [{"id": 1, "v": 1, "v_r": 2}]
    assert together([{"id": 1, "A": 1}], [{"id": 1, "a": 2}], "inner") == [{"id": 1, "A": 1, "a": 2}]
    with pytest.raises(ValueError, match=r"'v'.*suffix"):
        together(left, right, "inner", right_on=("key",))


def test_misuse() -> None:
    left, right = ray.data.from_items(LEFT), ray.data.from_items(RIGHT)
    with pytest.raises(ValueError, match="join_type"):
        left.join(right, "outer", 1)
    with pytest.raises(ValueError, match="tuple or a list"):
        left.join(right, "inner", 1, on="id")
    with pytest.raises(KeyError, match="'a'"):
        left.join(right, "inner", 1, on=("a",))
    with pytest.raises(TypeError, match="never equal"):
        left.join(ray.data.from_items([{"id": "x"}]), "inner", 1)


def test_duplicates_multiply() -> None:
    table = pa.table({"k": [1] * 3})
    assert joined(table, table, ["k"], ["k"], "inner", None, None).num_rows == 9


@pytest.mark.parametrize("how", JOIN_TYPES)
def test_joins_made_a_slice_at_a_time(how: str) -> None:
    rng = np.random.default_rng(3)
    left = pa.table({"k": pa.array(rng.integers(0, 40, 300), mask=rng.random(300) < 0.1), "x": np.arange(300)})
    right = pa.table({"k": pa.array(rng.integers(5, 60, 200).astype(np.int32)), "y": np.arange(200)})
    whole = joined(left, right, ["k"], ["k"], how, None, None)
    slices = list(joined_slices(left, right, ["k"], ["k"], how, None, None, 1000))
    assert len(slices) > 2 and max(part.num_rows for part in slices) <= 125
    assert {str(part.schema) for part in slices} == {str(whole.schema)}
    assert pa.concat_tables(slices).to_pylist() == whole.to_pylist()


@pytest.mark.parametrize("how", JOIN_TYPES)
def test_a_key_of_most_rows_is_joined_by_several_calls(how: str) -> None:
    """Rows of the side that may be cut, or of both, however many have one key."""
    keys = {"left": np.where(np.arange(400) % 10 == 0, np.arange(400), 7), "right": np.array([7] * 20 + [3, 10, 999])}
    tables = {side: pa.table({"k": found, side: np.arange(len(found))}) for side, found in keys.items()}
    if how.startswith("right"):
        tables = {
            one: tables[other].rename_columns(["k", one]) for one, other in (("left", "right"), ("right", "left"))
        }
    join = JoinRows(("k",), ("k",), how, None, None)
    strategy = JoinStrategy(join, 0, 1000)
    steps = strategy.steps([[bundle_of_table(tables["left"])], [bundle_of_table(tables["right"])]])
    results = [result_of(call) for call in next(steps).calls]
    step = steps.send(results)
    assert step.last
    calls = list(step.calls)
    if how != "full_outer":
        cut = 1 if how.startswith("right") else 0
        assert max(call.inputs[cut].bytes for call in calls) <= 1000
        assert sum(call.inputs[cut].bytes > 500 for call in calls) >= 5
    rows = [row for call in calls for table in tables_of_bundles(result_of(call).outputs) for row in table.to_pylist()]
    whole = joined(tables["left"], tables["right"], ["k"], ["k"], how, None, None).to_pylist()
    assert Counter(map(repr, rows)) == Counter(map(repr, whole))


def result_of(call: StageCall) -> StageResult:
    """What a call gives, made in this process."""
    inputs = [tables_of_bundles([one]) for one in call.inputs]
    return run_call(CallOperator(), call, inputs, LocalBlock)
