"""Expressions of rows' numbers, functions of users' in expressions, downloads, and expressions of several columns."""

import uuid as uuids
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import ray_async as ray
from ray_async.data import RayDataUserCodeException
from ray_async.data.datatype import DataType
from ray_async.data.expressions import (
    col,
    download,
    lit,
    monotonically_increasing_id,
    pyarrow_udf,
    random,
    star,
    udf,
    unnest,
    uuid,
)

pytestmark = pytest.mark.usefixtures("session")


@udf(return_dtype=DataType.int64())
def add_one(numbers: pa.Array) -> pa.Array:
    return pc.add(numbers, 1)


@udf(pa.string())
def joined(texts: pa.Array, sign: str, *, times: int = 1) -> list[str]:
    return [str(text) + sign * times for text in texts.to_pylist()]


@udf(DataType.int64())
class Add:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, numbers: pa.Array) -> np.ndarray[Any, Any]:
        return numbers.to_numpy(zero_copy_only=False) + self.number  # type: ignore[no-any-return]


class TestRandom:
    def test_a_column_is_drawn_once(self) -> None:
        rows = ray.data.range(10000).with_column("r", random()).filter(col("r") < 0.5).take_all()
        assert all(row["r"] < 0.5 for row in rows) and 4700 <= len(rows) <= 5300
        twice = ray.data.range(10000).with_column("r", random()).with_columns({"a": col("r"), "b": col("r")})
        assert all(row["a"] == row["b"] == row["r"] for row in twice.take_all())
        one = random()
        same = ray.data.range(100).with_columns({"a": one, "b": one, "c": random()}).take_all()
        assert all(row["a"] == row["b"] != row["c"] for row in same)

    def test_identifiers(self) -> None:
        dataset = ray.data.range(10000).with_column("u", uuid()).with_columns({"a": col("u"), "b": col("u")})
        rows = dataset.take_all()
        assert len({row["u"] for row in rows}) == 10000 and all(row["a"] == row["b"] == row["u"] for row in rows)
        assert uuids.UUID(rows[0]["u"]).version == 4 and str(uuids.UUID(rows[0]["u"])) == rows[0]["u"]
        assert ray.data.range(0).with_column("u", uuid()).schema().types == [pa.int64(), pa.string()]  # type: ignore[union-attr]

    def test_a_seed_decides_whatever_follows(self) -> None:
        drawn = ray.data.range(1000, override_num_blocks=7).with_column("r", random(seed=7))
        values = {row["id"]: row["r"] for row in drawn.take_all()}
        assert len(set(values.values())) == 1000 and 0.4 < np.mean(list(values.values())) < 0.6
        for dataset in (
            drawn.filter(col("id") % 2 == 0),
            drawn.limit(5),
            drawn.select_columns(["r", "id"]),
            drawn.map(lambda row: row),
            drawn.map_batches(lambda batch: batch, batch_size=300),
            ray.data.range(1000, override_num_blocks=2).with_column("r", random(seed=7)),
        ):
            assert all(values[row["id"]] == row["r"] for row in dataset.take_all())

    def test_executions_draw_anew_unless_told_otherwise(self) -> None:
        for expr in (random(), random(seed=1)):
            dataset = ray.data.range(10).with_column("r", expr)
            assert dataset.take_all() != dataset.take_all()
        for seed in (1, None):
            dataset = ray.data.range(10).with_column("r", random(seed=seed, reseed_after_execution=False))
            assert dataset.take_all() == dataset.take_all()
        with pytest.raises(TypeError, match="seed"):
            random(seed=1.5)  # type: ignore[arg-type]

    def test_rows_keep_their_numbers(self) -> None:
        for source in (ray.data.range(100, override_num_blocks=7), ray.data.range(100).map(lambda row: row)):
            numbered = source.with_column("n", monotonically_increasing_id())
            for dataset in (numbered, numbered.filter(col("id") > 60), numbered.filter(lambda r: r["id"] > 60)):
                assert all(row["n"] == row["id"] for row in dataset.take_all())
            assert [row["n"] for row in numbered.limit(3).take_all()] == [0, 1, 2]
        halved = ray.data.range(100).filter(lambda row: row["id"] % 2).with_column("n", monotonically_increasing_id())
        assert [row["n"] for row in halved.take_all()] == list(range(50))
        later = ray.data.range(100).filter(col("id") >= 50).sort("id", descending=True)
        assert later.filter(monotonically_increasing_id() < 2).take_all() == [{"id": 99}, {"id": 98}]


class TestFunctions:
    def test_functions_of_columns(self) -> None:
        numbers = ray.data.range(4)
        dataset = numbers.with_column("y", add_one(col("id")) * 2)
        assert dataset.schema().types == [pa.int64(), pa.int64()]  # type: ignore[union-attr]
        assert [row["y"] for row in dataset.take_all()] == [2, 4, 6, 8]
        assert [row["y"] for row in numbers.with_column("y", Add(5)(col("id"))).take_all()] == [5, 6, 7, 8]
        texts = numbers.with_column("t", joined(col("id"), "!", times=2))
        assert texts.take(1) == [{"id": 0, "t": "0!!"}]
        assert [row["id"] for row in numbers.filter(add_one(col("id")) > 3).take_all()] == [3]
        assert ray.data.range(0).with_column("y", add_one(col("id"))).columns() == ["id", "y"]

        @pyarrow_udf(return_dtype=pa.float64())
        async def halved(values: pa.Array) -> Any:
            return pd.Series(values.to_numpy() / 2)

        assert [row["h"] for row in numbers.with_column("h", halved(col("id"))).take_all()] == [0.0, 0.5, 1.0, 1.5]

    def test_errors_are_the_functions(self) -> None:
        @udf(pa.int64())
        def fail(values: pa.Array) -> pa.Array:
            raise KeyError("no such thing")

        @udf(pa.int64())
        def short(values: pa.Array) -> list[int]:
            return [1]

        @udf(pa.int64())
        def texts(values: pa.Array) -> list[str]:
            return ["x"] * len(values)

        numbers = ray.data.range(10)
        with pytest.raises(KeyError, match="no such thing") as caught:
            numbers.with_column("y", fail(col("id"))).take_all()
        assert isinstance(caught.value, RayDataUserCodeException) and "fail(col('id'))" in str(caught.value)
        with pytest.raises(ValueError, match=r"short\(col\('id'\)\) must return a column of"):
            numbers.with_column("y", short(col("id"))).take_all()
        with pytest.raises(TypeError, match="return_dtype int64"):
            numbers.with_column("y", texts(col("id"))).take_all()
        with pytest.raises(TypeError, match="function or a class"):
            udf(pa.int64())(3)

    def test_downloads(self, tmp_path: Path) -> None:
        (tmp_path / "a.gz").write_bytes(b"as it is")
        uris = ray.data.from_items([{"uri": str(tmp_path / "a.gz")}, {"uri": None}, {"uri": f"file://{tmp_path}/a.gz"}])
        found = uris.with_column("content", download("uri"))
        assert [row["content"] for row in found.take_all()] == [b"as it is", None, b"as it is"]
        missing = ray.data.from_items([{"uri": str(tmp_path / "missing")}]).with_column("content", download("uri"))
        with pytest.raises(FileNotFoundError, match="missing"):
            missing.take_all()
        with pytest.raises(TypeError, match="paths and URIs"):
            ray.data.range(3).with_column("content", download("id")).take_all()

    def test_options_of_the_tasks(self) -> None:
        dataset = ray.data.range(4).with_column("y", add_one(col("id")), num_cpus=2)
        assert [row["y"] for row in dataset.take_all()] == [1, 2, 3, 4]
        pool = ray.data.ActorPoolStrategy(size=1)
        pooled = ray.data.range(4).with_column("y", Add(1)(col("id")), compute=pool)
        assert [row["y"] for row in pooled.take_all()] == [1, 2, 3, 4] and "1 to 1 actors" in pooled.explain()


def test_fields_of_structs_become_columns() -> None:
    people = ray.data.from_items([{"who": {"name": "Ann", "age": 3}}, {"who": None}])
    assert people.with_columns(unnest(col("who"))).select_columns(["name", "age"]).take_all() == [
        {"name": "Ann", "age": 3},
        {"name": None, "age": None},
    ]

    @udf(DataType.struct([("half", DataType.int64()), ("odd", DataType.bool())]))
    def parts(numbers: pa.Array) -> list[dict[str, Any]]:
        return [{"half": number // 2, "odd": bool(number % 2)} for number in numbers.to_pylist()]

    mapped = ray.data.range(2).map(lambda row: row)
    assert mapped.with_columns(unnest(parts(col("id"))), lit(7).alias("seven")).take_all() == [
        {"id": 0, "half": 0, "odd": False, "seven": 7},
        {"id": 1, "half": 0, "odd": True, "seven": 7},
    ]
    assert ray.data.range(1).with_columns(star(), {"x": col("id")}).take_all() == [{"id": 0, "x": 0}]
    with pytest.raises(TypeError, match="needs a struct"):
        ray.data.range(1).with_columns(unnest(col("id")))
    with pytest.raises(TypeError, match="unnest"):
        unnest(unnest(col("who")))
    with pytest.raises(ValueError, match="not known before"):
        mapped.with_columns(unnest(col("s")))
    with pytest.raises(ValueError, match="no name"):
        people.with_columns(col("who").is_null())
    with pytest.raises(TypeError, match="stands for columns"):
        people.filter(unnest(col("who"))).take_all()
