"""Types of blocks that differ, end to end: one schema, whatever came first, and errors that name the field."""

import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ray_async as ray
from ray_async.data.engine.joining import JOIN_TYPES
from ray_async.data.expressions import col

pytestmark = pytest.mark.usefixtures("session")


def blocks_of(rows: list[dict[str, Any]]) -> Any:
    """A dataset that a function makes, a block for each row."""
    return ray.data.range(len(rows), override_num_blocks=len(rows)).map(lambda row: rows[row["id"]])


def values(dataset: Any, name: str) -> list[Any]:
    return [row[name] for row in dataset.take_all()]


class TestNullFirst:
    ROWS: ClassVar[list[dict[str, Any]]] = [
        {"a": None, "l": [], "s": {"x": None}},
        {"a": None, "l": [], "s": {"x": None}},
        {"a": "x", "l": [1], "s": {"x": 1.5}},
        {"a": "x", "l": [2], "s": None},
    ]

    def test_later_values_decide(self) -> None:
        found = blocks_of(self.ROWS).materialize()
        assert found.schema().types == [pa.string(), pa.list_(pa.int64()), pa.struct([("x", pa.float64())])]
        assert found.take_all() == self.ROWS
        given = ray.data.from_items(self.ROWS, override_num_blocks=4)
        assert given.schema() == found.schema() == given.materialize().schema()

    def test_operators_after_it(self) -> None:
        found = blocks_of(self.ROWS)
        assert values(found.sort("a"), "a") == ["x", "x", None, None]
        assert found.groupby("a").count().take_all() == [{"a": "x", "count()": 2}, {"a": None, "count()": 2}]
        assert found.to_pandas()["a"].tolist()[2:] == ["x", "x"]

    def test_written_files_have_one_schema(self, tmp_path: Path) -> None:
        blocks_of(self.ROWS).write_parquet(tmp_path / "p")
        schemas = {pq.read_schema(path).remove_metadata().to_string() for path in (tmp_path / "p").iterdir()}
        assert len(schemas) == 1 and ray.data.read_parquet(tmp_path / "p").take_all() == self.ROWS
        blocks_of(self.ROWS).write_parquet(tmp_path / "q", partition_cols=["a"])
        assert sorted(map(str, values(ray.data.read_parquet(tmp_path / "q"), "l"))) == ["[1]", "[2]", "[]", "[]"]
        with pytest.raises(TypeError, match="column 'v' is int64 and string in different blocks"):
            blocks_of([{"v": 1}, {"v": "x"}]).write_parquet(tmp_path / "mixed")
        assert list((tmp_path / "mixed").iterdir()) == []

    def test_a_value_far_behind(self, tmp_path: Path) -> None:
        line = '{"a": null, "p": "' + "y" * 100 + '"}\n'
        (tmp_path / "late.json").write_text(line * 20000 + '{"a": 5, "p": "z"}\n')
        assert ray.data.read_json(tmp_path / "late.json").schema().types[0] == pa.int64()  # type: ignore[union-attr]


class TestStructs:
    ROWS: ClassVar[list[dict[str, Any]]] = [{"s": {"x": 1}}, {"s": None}, {"s": {"y": "q"}}]
    EXPECTED: ClassVar[list[Any]] = [{"x": 1, "y": None}, None, {"x": None, "y": "q"}]

    @pytest.mark.parametrize(
        "wrap",
        [lambda s: s, lambda s: [s], lambda s: {"deep": {"deeper": s}}],
        ids=["alone", "in a list", "deep"],
    )
    def test_fields_are_put_together(self, wrap: Any) -> None:
        dataset = blocks_of([{"s": wrap(row["s"])} for row in self.ROWS])
        expected = [wrap(value) for value in self.EXPECTED]
        assert values(dataset, "s") == expected
        assert values(dataset.repartition(1).map(lambda row: row), "s") == expected

    def test_a_conflict_names_the_field_both_types_and_the_operator(self) -> None:
        conflict = blocks_of([{"k": 1, "s": {"inner": 1}}, {"k": 0, "s": {"inner": {"z": 1}}}])
        for use in (lambda: conflict.take_all(), lambda: conflict.sort("k").take_all()):
            with pytest.raises((TypeError, ValueError), match=r"s\.inner") as caught:
                use()
            assert "int64" in str(caught.value) and "struct" in str(caught.value)
        assert "Sort(k)" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))


def test_times_with_zones_keep_their_instants(tmp_path: Path) -> None:
    noon = datetime.datetime(2024, 6, 1, 12, tzinfo=datetime.UTC)
    for index, zone in enumerate(("UTC", "+00:00", "Europe/Rome")):
        (tmp_path / "z").mkdir(exist_ok=True)
        pq.write_table(pa.table({"t": pa.array([noon], pa.timestamp("us", zone))}), tmp_path / "z" / f"{index}.parquet")
    zoned = ray.data.read_parquet(tmp_path / "z")
    assert zoned.schema().types == [pa.timestamp("us", "UTC")]  # type: ignore[union-attr]
    assert [value.astimezone(datetime.UTC) for value in values(zoned, "t")] == [noon] * 3
    for order in ([0, 1], [1, 0]):
        folder = tmp_path / f"n{order[0]}"
        folder.mkdir()
        kinds = [pa.timestamp("us"), pa.timestamp("us", "UTC")]
        for index, kind in enumerate(order):
            pq.write_table(pa.table({"t": pa.array([0], kinds[kind])}), folder / f"{index}.parquet")
        with pytest.raises(TypeError, match=r"'t'.*0\.parquet.*1\.parquet"):
            ray.data.read_parquet(folder).take_all()


def test_files_that_drift(tmp_path: Path) -> None:
    tables = [
        pa.table({"v": pa.array([1], pa.int64()), "w": ["a"]}),
        pa.table({"w": ["b"], "v": pa.array([0.5])}),
        pa.table({"v": pa.array([None], pa.null()), "extra": [True]}),
    ]
    for index, table in enumerate(tables):
        pq.write_table(table, tmp_path / f"{index}.parquet")
    found = ray.data.read_parquet(tmp_path)
    expected = [
        {"v": 1.0, "w": "a", "extra": None},
        {"v": 0.5, "w": "b", "extra": None},
        {"v": None, "w": None, "extra": True},
    ]
    assert found.take_all() == expected == found.map(lambda row: row).take_all()
    pq.write_table(pa.table({"v": ["text"]}), tmp_path / "3.parquet")
    with pytest.raises(TypeError, match="'v'"):
        ray.data.read_parquet(tmp_path).take_all()


class TestNoRows:
    def test_columns_stay(self, tmp_path: Path) -> None:
        empty = ray.data.range(4).filter(lambda row: False)
        assert empty.columns() == ["id"] == empty.materialize().columns()
        assert empty.rename_columns({"id": "x"}).columns() == ["x"]
        assert empty.with_column("y", col("id") + 1).columns() == ["id", "y"]
        assert empty.zip(empty).columns() == ["id", "id_1"] and empty.zip(empty).take_all() == []
        assert empty.groupby("id").count().columns() == ["id", "count()"] and empty.unique("id") == []
        assert values(empty.union(ray.data.range(2)), "id") == [0, 1] == values(ray.data.range(2).union(empty), "id")
        assert list(empty.to_pandas().columns) == ["id"] and empty.sort("id").take_all() == []
        assert empty.drop_columns(["id"]).count() == 0 and empty.repartition(3).random_shuffle().take_all() == []
        assert empty.groupby("id").map_groups(lambda frame: frame).take_all() == []
        assert [part.count() for part in empty.split(2)] == [0, 0]
        empty.write_parquet(tmp_path / "e")
        assert ray.data.read_parquet(tmp_path / "e").columns() == ["id"]

    @pytest.mark.parametrize("how", JOIN_TYPES)
    def test_joins(self, how: str) -> None:
        empty = ray.data.range(4).filter(lambda row: False)
        other = ray.data.range(3).with_column("w", col("id") * 2)
        left, right = empty.join(other, how), other.join(empty, how)
        expected = {"left_outer": (0, 3), "right_outer": (3, 0), "full_outer": (3, 3), "left_anti": (0, 3)}
        expected["right_anti"] = (3, 0)
        assert (len(left.take_all()), len(right.take_all())) == expected.get(how, (0, 0))

    def test_three_keys_and_two_joins(self) -> None:
        rng = np.random.default_rng(0)
        frames = [
            pd.DataFrame({name: rng.integers(0, 4, 60) for name in "abc"} | {f"v{index}": np.arange(60)})
            for index in range(3)
        ]
        one, two, three = (ray.data.from_pandas(frame) for frame in frames)
        keys = ("a", "b", "c")
        found = one.join(two, "left_outer", 200, on=keys).join(three, "left_outer", 200, on=keys).to_pandas()
        expected = frames[0].merge(frames[1], how="left", on=list(keys)).merge(frames[2], how="left", on=list(keys))
        columns = [*keys, "v0", "v1", "v2"]
        assert (
            found[columns].astype("float64").fillna(-1).sort_values(columns).to_numpy().tolist()
            == expected[columns].astype("float64").fillna(-1).sort_values(columns).to_numpy().tolist()
        )


def test_names_that_differ_in_case_only(tmp_path: Path) -> None:
    ray.data.from_items([{"a": 1, "A": 10}, {"a": 1, "A": 20}]).write_parquet(tmp_path / "p")
    found = ray.data.read_parquet(tmp_path / "p")
    found.context.inline_bytes = 0
    assert found.groupby("a").sum("A").take_all() == [{"a": 1, "sum(A)": 30}]
    assert values(found.sort("A", descending=True), "A") == [20, 10] and found.unique("A") == [10, 20]
    assert found.filter(expr="A > 15").take_all() == [{"a": 1, "A": 20}]
    assert found.select_columns(["A"]).take_all() == [{"A": 10}, {"A": 20}]
    assert found.rename_columns({"A": "B"}).columns() == ["a", "B"]
    assert found.with_column("c", col("A") + 1).take(1) == [{"a": 1, "A": 10, "c": 11}]
    assert found.join(ray.data.from_items([{"A": 20, "z": 1}]), "inner", on=("A",)).take_all() == [
        {"a": 1, "A": 20, "z": 1}
    ]
    (tmp_path / "q" / "COL1=x").mkdir(parents=True)
    pq.write_table(pa.table({"col1": [1]}), tmp_path / "q" / "COL1=x" / "f.parquet")
    folders = ray.data.read_parquet(tmp_path / "q")
    assert folders.take_all() == [{"col1": 1, "COL1": "x"}] and folders.filter(expr="COL1 == 'x'").count() == 1


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize("source", ["range", "parquet"])
def test_limits_behind_functions(source: str, blocks: int, tmp_path: Path) -> None:
    ray.data.range(10, override_num_blocks=5).write_parquet(tmp_path)

    def numbers() -> Any:
        if source == "range":
            return ray.data.range(10, override_num_blocks=blocks)
        return ray.data.read_parquet(tmp_path, override_num_blocks=blocks)

    def ids(dataset: Any) -> list[int]:
        return values(dataset, "id")

    assert ids(numbers().limit(3).filter(expr="id >= 3")) == []
    assert ids(numbers().limit(3).filter(expr="id >= 1")) == [1, 2]
    assert ids(numbers().limit(3).filter(lambda row: row["id"] >= 1)) == [1, 2]
    assert ids(numbers().map_batches(lambda b: {"id": b["id"][b["id"] % 2 == 0]}).limit(3)) == [0, 2, 4]
    assert ids(numbers().flat_map(lambda row: [row, row]).limit(3)) == [0, 0, 1]
    assert ids(numbers().limit(3).sort("id", descending=True)) == [2, 1, 0]
    assert ids(numbers().limit(2).union(numbers()).limit(3)) == [0, 1, 0]
