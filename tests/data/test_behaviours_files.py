"""Right values of reading and writing files: types of columns, files that differ, what a folder holds, names."""

import datetime
import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import ray_async as ray
from tests.data.behaviours import Raises, check, numbers

pytestmark = pytest.mark.usefixtures("session")

#: Makes files in a folder and gives what is read.
Reading = Callable[[Path], Any]


def csv(*texts: str) -> Reading:
    """The rows of CSV files."""
    return _texts(ray.data.read_csv, "csv", texts)


def json(*texts: str) -> Reading:
    return _texts(ray.data.read_json, "json", texts)


def _texts(read: Callable[[list[str]], Any], ending: str, texts: tuple[str, ...]) -> Reading:
    def reading(folder: Path) -> Any:
        paths = [folder / f"{number}.{ending}" for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return read([str(path) for path in paths]).take_all()

    return reading


def parquet(*tables: dict[str, Any] | pa.Table, **options: Any) -> Reading:
    """The rows of Parquet files."""

    def reading(folder: Path) -> Any:
        for number, table in enumerate(tables):
            pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), folder / f"{number}.parquet")
        return ray.data.read_parquet(str(folder), **options).take_all()

    return reading


def _saved(path: Path) -> Path:
    np.save(path, np.arange(2))
    return path


def partitioned(**options: Any) -> Reading:
    def reading(folder: Path) -> Any:
        for year, month in (("2020", "07"), ("__HIVE_DEFAULT_PARTITION__", "a%20b")):
            inner = folder / f"year={year}" / f"c={month}"
            inner.mkdir(parents=True)
            pq.write_table(pa.table({"x": [1]}), inner / "f.parquet")
        return ray.data.read_parquet(str(folder), **options).take_all()

    return reading


def named(*names: str, read: str = "", method: Callable[..., Any] | None = None) -> Reading:
    """The rows of CSV files, each with its own name as a text, of a folder or a pattern in it."""

    def reading(folder: Path) -> Any:
        for name in names:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            data = f"n\n{name}\n".encode()
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        found = (method or ray.data.read_csv)(str(folder / read) if read else str(folder)).take_all()
        return [row["n"] for row in found]

    return reading


def written(dataset: Callable[[], Any], **options: Any) -> Reading:
    """What is read from what was written."""

    def reading(folder: Path) -> Any:
        dataset().write_parquet(str(folder / "x.parquet"), **options)
        return ray.data.read_parquet(str(folder / "x.parquet")).take_all()

    return reading


TWO = pa.table({"x": [1, None], "y": ["a", "b"]})
KINDS = {
    "time": pa.array([datetime.datetime(2020, 1, 2)], pa.timestamp("us")),
    "date": [datetime.date(2020, 1, 2)],
    "decimal": [Decimal("1.50")],
    "list": [[1, 2]],
    "struct": [{"k": 1}],
    "duration": [datetime.timedelta(seconds=2)],
    "binary": [b"x"],
    "small": pa.array([7], pa.uint8()),
    "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
    "dictionary": pa.array(["v"]).dictionary_encode(),
}

CASES: dict[str, tuple[Reading, Any]] = {
    # CSV
    "csv: a header twice": (csv("a,a,b\n1,2,3\n"), Raises(KeyError, "two columns 'a'")),
    "csv: int and float": (csv("a\n1\n2\n", "a\n1.5\n"), [{"a": 1.0}, {"a": 2.0}, {"a": 1.5}]),
    "csv: empty in one": (csv("a,b\n1,x\n", "a,b\n,y\n"), [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]),
    "csv: int and text": (csv("a\n1\n", "a\nfoo\n"), [{"a": 1}, {"a": "foo"}]),
    "csv: texts that look like null": (
        csv("a,b\n,1\nNA,\nnull,3\nNone,4\n"),
        [{"a": "", "b": 1}, {"a": "NA", "b": None}, {"a": "null", "b": 3}, {"a": "None", "b": 4}],
    ),
    "csv: types": (
        csv("b,d,i,f\ntrue,2020-01-02,007,1e3\n"),
        [{"b": True, "d": datetime.date(2020, 1, 2), "i": 7, "f": 1000.0}],
    ),
    "csv: a header alone": (csv("a\n", "a\n1\n"), [{"a": 1}]),
    "csv: a type that changes late": (
        lambda folder: (lambda rows: (len(rows), rows[0], rows[-1]))(csv("a\n" + "1\n" * 600_000 + "x\n")(folder)),
        (600_001, {"a": "1"}, {"a": "x"}),
    ),
    "csv: a ragged row": (csv("a,b\n1,2\n3\n"), Raises(ValueError, "0.csv")),
    "csv: other columns": (
        csv("x,y\n1,2\n", "y,x,z\n3,4,5\n"),
        [{"x": 1, "y": 2, "z": None}, {"x": 4, "y": 3, "z": 5}],
    ),
    # JSON
    "json: a missing key": (json('{"a": 1, "b": 2}\n{"a": 3}\n'), [{"a": 1, "b": 2}, {"a": 3, "b": None}]),
    "json: int to float": (json('{"a": 1}\n{"a": 1.5}\n'), [{"a": 1.0}, {"a": 1.5}]),
    "json: int to text": (json('{"a": 1}\n{"a": "x"}\n'), Raises(ValueError, "a")),
    "json: int and text in two files": (json('{"a": 1}\n', '{"a": "x"}\n'), [{"a": 1}, {"a": "x"}]),
    "json: an array": (json('[{"a": 1}, {"a": 2}]'), [{"a": 1}, {"a": 2}]),
    "json: an object over lines": (json('{\n  "a": 1\n}\n'), [{"a": 1}]),
    "json: blank lines, an empty file": (json('{"a": 1}\n\n{"a": 2}\n', ""), [{"a": 1}, {"a": 2}]),
    "json: times": (json('{"a": "2020-01-02T03:04:05"}\n'), [{"a": datetime.datetime(2020, 1, 2, 3, 4, 5)}]),
    "json: a broken line": (json('{"a": 1}\n{"a": \n'), Raises(ValueError, "0.json")),
    # Parquet
    "parquet: order of columns, one more": (
        parquet({"x": [1], "y": [2]}, {"y": [3], "x": [4], "z": [5]}),
        [{"x": 1, "y": 2, "z": None}, {"x": 4, "y": 3, "z": 5}],
    ),
    "parquet: null and int": (parquet({"x": pa.nulls(1)}, {"x": [1]}), [{"x": None}, {"x": 1}]),
    "parquet: int and float": (parquet({"x": [1]}, {"x": [0.5]}), [{"x": 1.0}, {"x": 0.5}]),
    "parquet: ints of two widths": (
        parquet({"x": pa.array([1], pa.int32())}, {"x": pa.array([2**40], pa.int64())}),
        [{"x": 1}, {"x": 2**40}],
    ),
    "parquet: int and text": (parquet({"x": [1]}, {"x": ["a"]}), Raises(TypeError, "x")),
    "parquet: no rows": (parquet({"x": pa.array([], pa.int64())}), []),
    "parquet: types": (
        parquet(KINDS),
        [
            {
                "time": datetime.datetime(2020, 1, 2),
                "date": datetime.date(2020, 1, 2),
                "decimal": Decimal("1.50"),
                "list": [1, 2],
                "struct": {"k": 1},
                "duration": datetime.timedelta(seconds=2),
                "binary": b"x",
                "small": 7,
                "map": [("k", 1)],
                "dictionary": "v",
            }
        ],
    ),
    "parquet: columns": (parquet(TWO, columns=["y"]), [{"y": "a"}, {"y": "b"}]),
    "parquet: unknown columns": (parquet(TWO, columns=["zz"]), Raises(KeyError, "zz")),
    "parquet: no columns": (parquet(TWO, columns=[]), [{}, {}]),
    "parquet: a column twice": (parquet(TWO, columns=["x", "x"]), Raises(ValueError, "x")),
    "parquet: a filter": (parquet(TWO, filter=pc.field("y") == "b"), [{"x": None, "y": "b"}]),
    "parquet: order of files": (parquet(*({"x": [n]} for n in range(9))), [{"x": n} for n in range(9)]),
    "parquet: partitions": (partitioned(), [{"x": 1, "year": "2020", "c": "07"}, {"x": 1, "year": None, "c": "a b"}]),
    "parquet: partitions alone": (partitioned(columns=["year"]), [{"year": "2020"}, {"year": None}]),
    "parquet: no partitions": (partitioned(partitioning=None), [{"x": 1}, {"x": 1}]),
    # Folders
    "subfolders, and endings of the format": (
        named("a.csv", "b.txt", "c/d.csv", "e.csv.gz"),
        ["a.csv", "c/d.csv", "e.csv.gz"],
    ),
    "hidden files": (named("a.csv", "_SUCCESS", ".hid.csv", "_tmp.csv"), ["a.csv"]),
    "patterns": (named("a.csv", "b.csv", "x.csv", read="[ab]*.csv"), ["a.csv", "b.csv"]),
    "a file that is named": (named("a.data", read="a.data"), ["a.data"]),
    "a list of paths": (
        lambda folder: [
            row["n"]
            for row in (
                named("a.csv", "b.csv")(folder),
                ray.data.read_csv([str(folder / "b.csv"), str(folder / "a.csv")]).take_all(),
            )[1]
        ],
        ["b.csv", "a.csv"],
    ),
    "an empty folder": (lambda folder: ray.data.read_parquet(str(folder)), Raises(ValueError, "no files")),
    "a missing path": (lambda folder: ray.data.read_parquet(str(folder / "zz")), Raises(FileNotFoundError)),
    "a Parquet file of another name": (
        lambda folder: (pq.write_table(TWO, folder / "data"), ray.data.read_parquet(str(folder / "data")).count())[1],
        2,
    ),
    "texts": (
        lambda folder: ((folder / "a.txt").write_bytes(b"x\r\n\ny\n"), ray.data.read_text(str(folder)).take_all())[1],
        [{"text": "x"}, {"text": "y"}],
    ),
    "arrays": (
        lambda folder: (_saved(folder / "a.npy"), ray.data.read_numpy(str(folder)).take_all())[1],
        [{"data": 0}, {"data": 1}],
    ),
    "ranges of tensors": (lambda folder: ray.data.range_tensor(1, shape=(2,)).take_all(), [{"data": np.array([0, 0])}]),
    # Writing
    "written: to a folder named like a file": (written(lambda: numbers(3)), [{"id": 0}, {"id": 1}, {"id": 2}]),
    "written: tensors": (
        written(lambda: ray.data.from_numpy(np.arange(4.0).reshape(2, 2))),
        [{"data": np.array([0.0, 1.0])}, {"data": np.array([2.0, 3.0])}],
    ),
    "written: nothing": (written(lambda: numbers(3).filter(lambda row: False)), []),
    "written: int and text": (
        written(lambda: numbers(2, 2).map(lambda row: {"a": "x" if row["id"] else 1})),
        Raises(TypeError, "a"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_files(name: str, tmp_path: Path) -> None:
    reading, wanted = CASES[name]
    check((lambda: reading(tmp_path), wanted))


def test_a_file_of_no_bytes_beside_others_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"0\.csv"):
        assert csv("", "a\n1\n")(tmp_path) == [{"a": 1}]


def test_modes_of_writes(tmp_path: Path) -> None:
    folder = str(tmp_path / "out")
    one = ray.data.range(1)

    def rows() -> int:
        return int(ray.data.read_parquet(folder).count())

    one.write_parquet(folder)
    one.write_parquet(folder)
    assert rows() == 2
    with pytest.raises(ValueError, match="exists"):
        one.write_parquet(folder, mode="error")
    one.write_parquet(folder, mode="ignore")
    assert rows() == 2
    one.write_parquet(folder, mode="overwrite")
    assert rows() == 1


def test_partition_columns_are_folders_and_not_in_the_files(tmp_path: Path) -> None:
    numbers(4).map(lambda row: {"n": row["id"] % 2, "id": row["id"]}).write_parquet(str(tmp_path), partition_cols=["n"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n=0", "n=1"]
    assert {tuple(pq.read_schema(path).names) for path in tmp_path.rglob("*.parquet")} == {("id",)}


def test_rows_of_a_file_are_at_least_so_many(tmp_path: Path) -> None:
    numbers(6, 6).write_parquet(str(tmp_path), min_rows_per_file=3)
    assert len(list(tmp_path.glob("*.parquet"))) == 2


def test_a_written_dataset_knows_its_count_and_its_columns(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()

    def noted(row: dict[str, Any]) -> dict[str, Any]:
        (runs / str(row["id"])).touch(exist_ok=False)
        return {"id": row["id"] if row["id"] < 4 else row["id"] / 2, "text": None if row["id"] < 2 else "x"}

    dataset = numbers(6).map(noted)
    dataset.write_parquet(str(tmp_path / "out"), partition_cols=["text"])
    assert dataset.count() == 6
    schema = dataset.schema()
    assert schema is not None
    assert dict(zip(schema.names, schema.types, strict=True)) == {"id": pa.float64(), "text": pa.string()}
    assert dataset.columns() == ["id", "text"]


def test_a_dataset_written_without_rows_knows_its_columns(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()

    def emptied(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        (runs / str(batch["id"][0])).touch(exist_ok=False)
        return {"half": batch["id"][:0] / 2}

    dataset = numbers(6).map_batches(emptied)
    dataset.write_csv(str(tmp_path / "out"))
    assert (dataset.count(), dataset.columns()) == (0, ["half"])
    assert [path.read_text() for path in (tmp_path / "out").glob("*.csv")] == ['"half"\n']


def test_columns_of_written_blocks_that_do_not_fit_are_told_when_they_are_asked_for(tmp_path: Path) -> None:
    dataset = numbers(2, 2).map(lambda row: {"v": row["id"] if row["id"] else {"a": 1}})
    dataset.write_json(str(tmp_path / "out"))
    assert dataset.count() == 2
    with pytest.raises(TypeError, match="'v'"):
        dataset.schema()
