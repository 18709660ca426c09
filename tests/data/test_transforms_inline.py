"""Datasets without user functions: they run in the calling process, and no session is started."""

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import RandomSeedConfig, UnknownColumnError
from ray_async.data.aggregate import (
    ApproximateQuantile,
    ApproximateTopK,
    Count,
    Max,
    Mean,
    Quantile,
    Sum,
    Unique,
    ZeroPercentage,
)
from ray_async.data.expressions import col, lit

NAN = math.nan


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


@pytest.fixture(autouse=True)
def no_session() -> Any:
    yield
    assert not ray.is_initialized()


def test_sources_in_memory() -> None:
    assert ids(ray.data.range(3)) == [0, 1, 2] and ray.data.range(0).take_all() == []
    assert ray.data.range(0).schema().names == ["id"]  # type: ignore[union-attr]
    np.testing.assert_array_equal(ray.data.range_tensor(2, shape=(2, 2)).take_all()[1]["data"], [[1, 1], [1, 1]])
    assert ray.data.from_items([1, 2]).take_all() == [{"item": 1}, {"item": 2}]
    assert ray.data.from_items([{"a": 1}, {"b": 2}]).take_all() == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    assert ray.data.from_pandas(pd.DataFrame({"a": [1]}, index=[7])).take_all() == [{"a": 1}]
    assert ray.data.from_polars(pl.DataFrame({"a": ["x"]})).take_all() == [{"a": "x"}]
    assert ray.data.from_arrow([pa.table({"a": [1]}), pa.table({"a": [2]})]).num_blocks() == 2
    assert ray.data.from_numpy(np.arange(2)).take_all() == [{"data": 0}, {"data": 1}]


@pytest.mark.parametrize("blocks", [None, 1, 4])
def test_one_schema_whatever_the_blocks_are(blocks: int | None) -> None:
    dataset = ray.data.from_items([{"a": None}, {"a": None}, {"a": "x"}, {"a": "x"}], override_num_blocks=blocks)
    assert dataset.schema().types == [pa.string()]  # type: ignore[union-attr]
    assert dataset.materialize().schema().types == [pa.string()]  # type: ignore[union-attr]
    assert [row["a"] for row in dataset.take_all()] == [None, None, "x", "x"]


def test_counts_and_sizes() -> None:
    dataset = ray.data.range(100000)
    assert dataset.count() == 100000 and dataset.limit(7).count() == 7
    assert dataset.filter(expr="id >= 99990").count() == 10
    with pytest.raises(NotImplementedError):
        dataset.num_blocks()
    with pytest.raises(AttributeError, match="count"):
        len(dataset)
    with pytest.raises(TypeError, match="iter_rows"):
        iter(dataset)
    truth: bool = bool(dataset)
    assert truth


def test_taking() -> None:
    dataset = ray.data.range(30)
    assert len(dataset.take()) == 20 and ids(dataset.limit(2)) == [0, 1]
    for method in ("take_all", "to_pandas"):
        with pytest.raises(ValueError, match="more than 5 rows"):
            getattr(dataset, method)(limit=5)
    with pytest.raises(ValueError, match="The dataset is empty"):
        dataset.filter(expr="id < 0").take_batch()
    with pytest.raises(ValueError, match="limit"):
        dataset.limit(-1)


def test_columns_are_chosen_renamed_and_computed() -> None:
    dataset = ray.data.from_items([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    assert dataset.select_columns("b").columns() == ["b"]
    assert dataset.drop_columns(["b"]).take_all() == [{"a": 1}, {"a": 2}]
    assert dataset.rename_columns({"a": "c"}).columns() == ["c", "b"]
    assert dataset.rename_columns(["x", "y"]).take(1) == [{"x": 1, "y": "x"}]
    assert dataset.with_column("d", col("a") * 2 + 1).take_all()[1] == {"a": 2, "b": None, "d": 5}
    assert dataset.with_columns({"a": col("a") + 1, "e": lit("z")}).take(1) == [{"a": 2, "b": "x", "e": "z"}]
    assert dataset.filter(col("b").is_null()).select_columns(["a"]).take_all() == [{"a": 2}]


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.select_columns(["zz"]),
        lambda d: d.drop_columns(["zz"]),
        lambda d: d.rename_columns({"zz": "b"}),
        lambda d: d.filter(expr="zz > 1"),
        lambda d: d.with_column("b", col("zz")),
        lambda d: d.sort("zz"),
        lambda d: d.groupby("zz"),
        lambda d: d.groupby("price").sum("zz"),
        lambda d: d.sum("zz"),
        lambda d: d.unique("zz"),
    ],
)
def test_unknown_columns_fail_at_once(use: Any) -> None:
    dataset = ray.data.from_items([{"price": 1}])
    with pytest.raises(UnknownColumnError, match="'zz' among 'price'") as caught:
        use(dataset)
    assert {KeyError, ValueError} < set(type(caught.value).__mro__)
    with pytest.raises(UnknownColumnError, match="did you mean 'price'"):
        dataset.sort("prise")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda d: d.select_columns(["id", "id"]), ValueError),
        (lambda d: d.select_columns([1]), ValueError),
        (lambda d: d.select_columns(1), TypeError),
        (lambda d: d.rename_columns({}), ValueError),
        (lambda d: d.rename_columns(["a", "b"]), ValueError),
        (lambda d: d.rename_columns(3), TypeError),
        (lambda d: d.filter(), ValueError),
        (lambda d: d.filter(lambda r: True, expr="id > 1"), ValueError),
        (lambda d: d.filter(expr="id >"), ValueError),
        (lambda d: d.repartition(), ValueError),
        (lambda d: d.repartition(2, 3), ValueError),
        (lambda d: d.random_sample(1.5), ValueError),
        (lambda d: d.sort(lambda r: r), ValueError),
        (lambda d: d.sort(), TypeError),
        (lambda d: d.split(0), ValueError),
        (lambda d: d.split_at_indices([3, 1]), ValueError),
        (lambda d: d.split_proportionately([0.5, 0.5]), ValueError),
        (lambda d: d.train_test_split(1.0), ValueError),
        (lambda d: d.train_test_split(10), ValueError),
        (lambda d: d.train_test_split("x"), TypeError),
        (lambda d: d.map_batches(lambda b: b, batch_size=0), ValueError),
        (lambda d: d.map_batches(lambda b: b, batch_size=2.5), TypeError),
        (lambda d: d.map_batches(lambda b: b, batch_format="nope"), ValueError),
        (lambda d: d.map_batches(lambda b: b, fn_constructor_args=(1,)), ValueError),
        (lambda d: d.map_batches(lambda b: b, num_gpus=1), ValueError),
        (lambda d: d.map(lambda r: r, concurrency=(1, 2)), ValueError),
        (lambda d: d.map(3), TypeError),
        (lambda d: d.zip(ray.data.range(3)), ValueError),
        (lambda d: d.iter_batches(batch_size=0), ValueError),
        (lambda d: d.iter_batches(batch_format="nope"), ValueError),
    ],
)
def test_wrong_arguments_are_refused_at_once(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(ray.data.range(10))


def test_sorting() -> None:
    values = [3.0, None, 1.0, NAN, 2.0]
    for blocks in (1, 4):
        dataset = ray.data.from_items([{"v": value} for value in values], override_num_blocks=blocks)
        assert str([row["v"] for row in dataset.sort("v").take_all()]) == "[1.0, 2.0, 3.0, nan, None]"
        assert str([row["v"] for row in dataset.sort("v", descending=True).take_all()]) == "[3.0, 2.0, 1.0, nan, None]"
    rows = [{"a": a, "b": b, "n": n} for n, (a, b) in enumerate([(1, 2), (0, 1), (1, 1), (0, 2), (1, 2)])]
    dataset = ray.data.from_items(rows, override_num_blocks=3)
    found = dataset.sort(["a", "b"], descending=[False, True]).take_all()
    assert [row["n"] for row in found] == [3, 1, 0, 4, 2]
    texts = ray.data.from_items(["b", None, "a"]).sort("item").take_all()
    assert [row["item"] for row in texts] == ["a", "b", None]
    with pytest.raises(TypeError, match="'item' cannot be sorted"):
        ray.data.from_items([1, "x"]).sort("item").take_all()


def test_groups_with_null_and_nan_as_keys_in_the_order_of_the_keys() -> None:
    rows = [{"k": k, "v": v} for k, v in [("b", 1), (None, 2), ("a", 3), ("b", None), (None, 5)]]
    dataset = ray.data.from_items(rows)
    assert dataset.groupby("k").count().take_all() == [
        {"k": "a", "count()": 1},
        {"k": "b", "count()": 2},
        {"k": None, "count()": 2},
    ]
    assert [row["sum(v)"] for row in dataset.groupby("k").sum("v").take_all()] == [3, 1, 7]
    numbers = ray.data.from_items([{"k": k} for k in (NAN, 1.0, None, NAN, -0.0, 0.0)])
    assert [row["count()"] for row in numbers.groupby("k").count().take_all()] == [2, 1, 2, 1]
    assert ray.data.range(5).groupby(None).count().take_all() == [{"count()": 5}]
    assert str(dataset.groupby("k").std("v").take_all()[0]) == "{'k': 'a', 'std(v)': nan}"


def test_aggregations_of_everything() -> None:
    dataset = ray.data.from_items([{"a": 1, "i": 1}, {"a": None, "i": 2}, {"a": 7, "i": 3}])
    assert dataset.sum("a") == 8 and dataset.sum("a", ignore_nulls=False) is None
    assert dataset.sum(["a", "i"]) == {"sum(a)": 8, "sum(i)": 6} and dataset.min("a") == 1 and dataset.max("a") == 7
    assert dataset.mean("a") == 4.0 and dataset.std("i") == 1.0
    assert dataset.aggregate(Count("a"), Count("a", ignore_nulls=True, alias_name="n"), Quantile("i")) == {
        "count(a)": 3,
        "n": 2,
        "quantile(i)": 2.0,
    }
    words = ray.data.from_items([{"w": w} for w in ["b", "a", None, "a", "c", "b", "a"]])
    assert words.aggregate(ApproximateTopK("w", 2)) == {
        "approx_topk(w)": [{"w": "a", "count": 3}, {"w": "b", "count": 2}]
    }
    assert dataset.aggregate(ApproximateQuantile("i", [0.0, 0.5, 1.0])) == {"approx_quantile(i)": [1.0, 2.0, 3.0]}
    lists = ray.data.from_items([{"a": ["x", "y"]}, {"a": ["x", None]}])
    assert lists.aggregate(Unique("a", encode_lists=True)) == {"unique(a)": ["x", "y"]}
    assert ray.data.from_items([{"a": None}]).aggregate(ZeroPercentage("a")) == {"zero_pct(a)": None}
    nans = ray.data.from_items([1.0, NAN, 3.0])
    assert [nans.sum("item"), nans.mean("item"), nans.min("item"), nans.max("item")] == [4.0, 2.0, 1.0, 3.0]
    empty = dataset.filter(expr="i > 9")
    for method in ("sum", "min", "max", "mean", "std"):
        assert getattr(empty, method)("a") is None
    assert empty.aggregate(Sum("a"), Mean("a")) is None
    assert ray.data.from_items(["x", "y"]).max("item") == "y"
    with pytest.raises(TypeError, match="'item' is string"):
        ray.data.from_items(["x", "y"]).sum("item")


def test_sums_do_not_wrap_around() -> None:
    with pytest.raises(OverflowError):
        ray.data.from_items([2**62, 2**62]).sum("item")
    assert ray.data.from_arrow(pa.table({"a": pa.array([2**31 - 1] * 2, pa.int32())})).sum("a") == 2**32 - 2
    assert ray.data.from_items([2**62, 2**62, -(2**62)]).sum("item") == 2**62


def test_unique_values_in_order_of_first_appearance() -> None:
    assert ray.data.from_items([2, None, 1, 2]).unique("item") == [2, None, 1]
    assert ray.data.from_items([2, None, 1]).unique("item", ignore_nulls=True) == [2, 1]
    assert ray.data.from_items([{"a": [1, 2]}, {"a": [1]}, {"a": [1, 2]}]).unique("a") == [[1, 2], [1]]
    assert str(ray.data.from_items([1.0, NAN, NAN]).unique("item")) == "[1.0, nan]"


@pytest.mark.parametrize("blocks", [1, 5])
def test_limits_do_not_change_meaning_by_where_they_stand(blocks: int) -> None:
    numbers = ray.data.range(10, override_num_blocks=blocks)
    assert ids(numbers.limit(3).filter(expr="id >= 3")) == []
    assert ids(numbers.limit(3).filter(expr="id >= 1")) == [1, 2]
    assert ids(numbers.filter(expr="id >= 3").limit(2)) == [3, 4]
    assert ids(numbers.limit(3).sort("id", descending=True)) == [2, 1, 0]
    assert ids(numbers.sort("id", descending=True).limit(3)) == [9, 8, 7]
    assert ids(numbers.limit(2).union(ray.data.range(5)).limit(3)) == [0, 1, 0]
    assert ids(numbers.with_column("x", col("id") * 2).limit(4).limit(2)) == [0, 1]


def test_unions_and_zips() -> None:
    one, other = ray.data.from_items([{"a": 1}]), ray.data.from_items([{"a": 0.5, "b": "x"}])
    both = one.union(other)
    assert both.schema().types == [pa.float64(), pa.string()]  # type: ignore[union-attr]
    assert both.take_all() == [{"a": 1.0, "b": None}, {"a": 0.5, "b": "x"}]
    zipped = ray.data.range(5, override_num_blocks=2).zip(ray.data.range(5, override_num_blocks=3), ray.data.range(5))
    assert zipped.take(1) == [{"id": 0, "id_1": 0, "id_2": 0}] and zipped.count() == 5
    assert zipped.columns() == ["id", "id_1", "id_2"]
    wide = ray.data.from_items([{"a": i, "b": i, "c": i} for i in range(6)], override_num_blocks=3)
    narrow = ray.data.range(6, override_num_blocks=2)
    assert narrow.zip(wide).materialize().num_blocks() == wide.zip(narrow).materialize().num_blocks() == 3


def test_columns_that_differ_in_case_only() -> None:
    dataset = ray.data.from_items([{"a": 1, "A": 10}, {"a": 1, "A": 20}])
    assert dataset.groupby("a").sum("A").take_all() == [{"a": 1, "sum(A)": 30}]
    assert [row["A"] for row in dataset.sort("A", descending=True).take_all()] == [20, 10]
    assert dataset.filter(expr="A > 15").take_all() == [{"a": 1, "A": 20}]
    assert dataset.unique("A") == [10, 20] and dataset.rename_columns({"A": "B"}).columns() == ["a", "B"]


def test_random_order_depends_on_the_seed_alone() -> None:
    few, many = ray.data.range(100, override_num_blocks=2), ray.data.range(100, override_num_blocks=7)
    order = ids(few.random_shuffle(seed=1))
    assert order == ids(many.random_shuffle(seed=1)) != list(range(100)) and sorted(order) == list(range(100))
    assert order != ids(few.random_shuffle(seed=2))
    same = few.random_shuffle(seed=RandomSeedConfig(1, reseed_after_execution=False))
    other = few.random_shuffle(seed=RandomSeedConfig(1))
    assert ids(same) == ids(same) == order == ids(other) != ids(other)
    unseeded = few.random_shuffle()
    assert ids(unseeded) != ids(unseeded)
    sample = ids(ray.data.range(1000).random_sample(0.5, seed=1))
    assert sample == ids(ray.data.range(1000, override_num_blocks=9).random_sample(0.5, seed=1))
    assert 400 < len(sample) < 600


def test_splits() -> None:
    dataset = ray.data.range(10)
    assert [part.count() for part in dataset.split(3)] == [4, 3, 3]
    assert [part.count() for part in dataset.split(3, equal=True)] == [3, 3, 3]
    assert [ids(part) for part in dataset.split_at_indices([3, 5])] == [[0, 1, 2], [3, 4], [5, 6, 7, 8, 9]]
    assert [part.count() for part in dataset.split_proportionately([0.2, 0.5])] == [2, 5, 3]
    for size, count, expected in [(0.25, 10, [7, 3]), (0.33, 10, [6, 4]), (0.5, 3, [1, 2]), (3, 10, [7, 3])]:
        parts = ray.data.range(count).train_test_split(size)
        assert [part.count() for part in parts] == expected
        assert ids(parts[0]) + ids(parts[1]) == list(range(count))
    train, test = dataset.train_test_split(0.4, shuffle=True)
    assert sorted(ids(train) + ids(test)) == list(range(10))
    labelled = ray.data.from_items([{"y": y} for y in "aaaaaabbb"])
    train, test = labelled.train_test_split(1 / 3, stratify="y")
    assert [row["count()"] for row in test.groupby("y").count().take_all()] == [2, 1] and train.count() == 6


def test_repartition_moves_no_row() -> None:
    parts = ray.data.range(10).repartition(3).materialize()
    assert parts.num_blocks() == 3 and ids(parts) == list(range(10))
    assert [len(batch["id"]) for batch in parts.iter_batches(batch_size=None)] == [3, 3, 4]
    assert ray.data.range(10).repartition(target_num_rows_per_block=4).materialize().num_blocks() == 3


def test_batches() -> None:
    dataset = ray.data.range(10, override_num_blocks=4)
    assert [len(batch["id"]) for batch in dataset.iter_batches(batch_size=3)] == [3, 3, 3, 1]
    assert [len(batch["id"]) for batch in dataset.iter_batches(batch_size=3, drop_last=True)] == [3, 3, 3]
    kinds = {
        name: next(iter(dataset.iter_batches(batch_format=name))) for name in ("pandas", "pyarrow", "polars", None)
    }
    assert isinstance(kinds["pandas"], pd.DataFrame) and isinstance(kinds["polars"], pl.DataFrame)
    assert isinstance(kinds["pyarrow"], pa.Table) and isinstance(kinds[None], pa.Table)
    shuffled = [
        int(value)
        for batch in dataset.iter_batches(batch_size=3, local_shuffle_buffer_size=5, local_shuffle_seed=1)
        for value in batch["id"]
    ]
    assert shuffled != list(range(10)) and sorted(shuffled) == list(range(10))


async def test_rows_for_a_coroutine() -> None:
    assert [row["id"] async for row in ray.data.range(5)] == [0, 1, 2, 3, 4]


def test_empty_datasets_keep_their_columns_through_everything() -> None:
    empty = ray.data.range(4).filter(expr="id < 0")
    assert empty.columns() == ["id"] and empty.materialize().columns() == ["id"]
    assert empty.with_column("x", col("id") + 1).columns() == ["id", "x"]
    for dataset in (empty.sort("id"), empty.random_shuffle(), empty.repartition(2), empty.union(empty), empty.limit(3)):
        assert dataset.columns() == ["id"] and dataset.take_all() == [] and list(dataset.to_pandas().columns) == ["id"]
    assert empty.groupby("id").count().take_all() == [] and empty.unique("id") == []
    assert empty.zip(empty).columns() == ["id", "id_1"] and empty.zip(empty).take_all() == []
    assert ray.data.from_items([]).schema() is None and ray.data.from_items([]).count() == 0
    assert ray.data.range(0).groupby("id").aggregate(Max("id")).columns() == ["id", "max(id)"]


def test_explain_and_stats(capsys: pytest.CaptureFixture[str]) -> None:
    dataset = ray.data.range(10).filter(expr="id > 3").limit(2)
    text = dataset.explain()
    assert capsys.readouterr().out.strip() == text and "in the calling process" in text and "Limit(2)" in text
    assert "not run yet" in dataset.stats()
    dataset.take_all()
    assert "complete" in dataset.stats() and "Limit(2)" in dataset.stats()
