"""What every sink of files does, whatever the format."""

import datetime
import decimal
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import FilenameProvider
from ray_async.data.sinks.arrow_ipc import ArrowFormat
from ray_async.data.sinks.avro import AvroFormat
from ray_async.data.sinks.csv import CSVFormat
from ray_async.data.sinks.files import FileFormat, FileSink
from ray_async.data.sinks.images import ImageFormat
from ray_async.data.sinks.json import JSONFormat
from ray_async.data.sinks.numpy import NumpyFormat
from ray_async.data.sinks.orc import ORCFormat
from ray_async.data.sinks.parquet import ParquetFormat
from ray_async.data.sinks.tfrecords import TFRecordFormat
from ray_async.data.sinks.webdataset import WebDatasetFormat

Row = dict[str, Any]
PLAIN: list[Row] = [{"n": 1, "s": "é"}, {"n": None, "s": ""}, {"n": -(2**62), "s": None}]
UTC = datetime.datetime(1960, 1, 1, 12, 0, 0, 5, tzinfo=datetime.UTC)
RICH: list[Row] = [
    {"l": [1, None], "d": datetime.date(1960, 2, 29), "t": UTC, "x": 0.1, "b": b"\0", "c": decimal.Decimal("1.50")},
    {"l": [], "d": None, "t": UTC, "x": -0.0, "b": None, "c": None},
    {"l": None, "d": None, "t": None, "x": None, "b": b"", "c": decimal.Decimal("-2.25")},
]


@dataclass(frozen=True)
class Case:
    """One format.

    Attributes:
        format: the format.
        write: writes a dataset to a folder.
        read: reads a folder.
        rows: rows that come back as they are.
        refused: a column that the format has no form for.
    """

    format: FileFormat
    write: Callable[..., None]
    read: Callable[..., Any]
    rows: list[Row] = field(default_factory=lambda: PLAIN)
    refused: pa.Array | None = None


def case(name: str, format: FileFormat, rows: list[Row], refused: Any = None, *arguments: Any, **options: Any) -> Case:
    def write(dataset: Any, folder: Any, **more: Any) -> None:
        getattr(dataset, f"write_{name}")(folder, *arguments, **options, **more)

    return Case(format, write, getattr(ray.data, f"read_{name}"), rows, refused)


LISTS, DURATIONS = pa.array([[1]]), pa.array([1], pa.duration("s"))
OBJECTS = ray.data.from_items([1 + 2j]).to_arrow()["item"].chunk(0)
ARRAYS = [np.full((2, 3), value, dtype=np.uint8) for value in range(3)]
TENSORS = [{"v": array} for array in ARRAYS]
CASES = {
    "parquet": case("parquet", ParquetFormat(), RICH),
    "csv": case("csv", CSVFormat(), [{"n": 1, "s": "é"}, {"n": None, "s": 'a "b", c'}], LISTS),
    "json": case("json", JSONFormat(), [{"l": [1], "s": "é"}, {"l": None, "s": None}], pa.array([b"x"])),
    "numpy": case("numpy", NumpyFormat("data"), [{"data": 1}, {"data": -2}], None, column="data"),
    "arrow": case("arrow", ArrowFormat(), RICH, OBJECTS),
    "orc": case("orc", ORCFormat(), RICH, DURATIONS),
    "avro": case("avro", AvroFormat(), RICH, DURATIONS),
    "tfrecords": case(
        "tfrecords",
        TFRecordFormat(),
        [{"b": b"\0", "f": 0.5, "n": 2**62, "v": [1, 2]}, {"b": None, "f": -1.5, "n": -1, "v": [3, 4]}],
        pa.array([{"x": 1}]),
    ),
    "webdataset": case(
        "webdataset",
        WebDatasetFormat(),
        [
            {"__key__": "a/x", "txt": "é", "cls": 3, "json": {"k": [1, 2.5]}, "npy": np.arange(4.0), "png": ARRAYS[1]},
            {"__key__": "b.c/y", "txt": "", "cls": -1, "json": None, "npy": np.ones(4), "png": ARRAYS[2]},
        ],
        OBJECTS,
        decoder=None,
    ),
    "images": case("images", ImageFormat("image"), [{"image": array} for array in ARRAYS], LISTS, "image"),
}
CASES["webdataset"] = Case(
    WebDatasetFormat(),
    lambda dataset, folder, **more: dataset.write_webdataset(folder, **more),
    lambda folder, **more: ray.data.read_webdataset(folder, decoder="L", **more),
    CASES["webdataset"].rows,
    OBJECTS,
)
FORMATS = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@FORMATS
def test_what_is_written_comes_back(case: Case, tmp_path: Path) -> None:
    dataset = ray.data.from_items(case.rows, override_num_blocks=2)
    case.write(dataset, tmp_path / "new" / "folder")
    found = case.read(tmp_path / "new" / "folder").take_all()
    np.testing.assert_equal(found, case.rows)
    assert all(name.endswith(f".{case.format.extension}") for name in names(tmp_path))
    assert dataset.count() == len(case.rows)


@FORMATS
def test_modes(case: Case, tmp_path: Path) -> None:
    dataset = ray.data.from_items(case.rows[:1])
    for _ in range(2):
        case.write(dataset, tmp_path)
    assert len(names(tmp_path)) == 2
    case.write(dataset, tmp_path, mode="ignore")
    with pytest.raises(ValueError, match="already exists"):
        case.write(dataset, tmp_path, mode="error")
    assert len(names(tmp_path)) == 2
    case.write(dataset, tmp_path, mode="overwrite")
    np.testing.assert_equal(case.read(tmp_path).take_all(), case.rows[:1])


@FORMATS
def test_a_writer_that_raises_leaves_nothing(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ray.data.from_items(case.rows, override_num_blocks=len(case.rows))
    case.write(dataset, tmp_path)
    before = names(tmp_path)
    written = type(case.format).encode
    calls: list[int] = []

    def half(self: Any, table: pa.Table, stream: Any) -> None:
        written(self, table, stream)
        calls.append(table.num_rows)
        if len(calls) > 1:
            raise RuntimeError("the disk is full")

    monkeypatch.setattr(type(case.format), "encode", half)
    for mode in ("append", "overwrite"):
        calls.clear()
        with pytest.raises(RuntimeError, match="disk is full"):
            case.write(dataset, tmp_path, mode=mode)
    assert names(tmp_path) == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@FORMATS
def test_a_call_that_is_run_again_doubles_nothing(case: Case, tmp_path: Path) -> None:
    table = ray.data.from_items(case.rows).to_arrow()
    sink = FileSink(str(tmp_path), case.format, row_files=isinstance(case.format, ImageFormat))
    assert sink.prepare()
    list(sink.write([table], 3))
    receipts = list(sink.write([table], 3))
    sink.commit(receipts, table.schema)
    np.testing.assert_equal(case.read(tmp_path).take_all(), case.rows)
    assert len(names(tmp_path)) == len(receipts)


@FORMATS
def test_a_call_that_goes_on_after_the_end_leaves_nothing(case: Case, tmp_path: Path) -> None:
    table = ray.data.from_items(case.rows).to_arrow()
    sink = FileSink(str(tmp_path), case.format, row_files=isinstance(case.format, ImageFormat))
    assert sink.prepare()
    next(sink.write([table], 0))
    sink.abort(RuntimeError("another call has failed"))
    with pytest.raises(FileNotFoundError):
        next(sink.write([table], 1))
    assert os.listdir(tmp_path) == []


@FORMATS
def test_no_rows(case: Case, tmp_path: Path) -> None:
    case.write(ray.data.from_items(case.rows).limit(0), tmp_path / "d")
    assert case.read(tmp_path / "d", ignore_missing_paths=True).take_all() == []
    assert (tmp_path / "d").is_dir()


@FORMATS
def test_a_column_without_a_form_is_named(case: Case, tmp_path: Path) -> None:
    if case.refused is None:
        return
    name = "image" if case.format.name == "Images" else "odd"
    dataset = ray.data.from_arrow(pa.table({name: case.refused}))
    with pytest.raises(TypeError, match=f"'{name}'"):
        case.write(dataset, tmp_path / "d")
    assert not (tmp_path / "d").exists()


@FORMATS
def test_a_file_system_of_fsspec(case: Case, tmp_path: Path) -> None:
    case.write(ray.data.from_items(case.rows), str(tmp_path / "d"), filesystem=fsspec.filesystem("file"))
    np.testing.assert_equal(case.read(tmp_path / "d").take_all(), case.rows)


@FORMATS
def test_names(case: Case, tmp_path: Path) -> None:
    class Names(FilenameProvider):
        def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
            return f"part-{task_index}-{write_uuid[:4]}"

        def get_filename_for_row(
            self, row: Row, write_uuid: str, task_index: int, block_index: int, row_index: int
        ) -> str:
            return f"row-{row_index}-{write_uuid[:4]}"

    case.write(ray.data.from_items(case.rows), tmp_path, filename_provider=Names())
    word = "row-0-" if case.format.name == "Images" else "part-0-"
    assert names(tmp_path)[0].startswith(word)
    with pytest.raises(TypeError, match="nonsense"):
        case.write(ray.data.from_items(case.rows), tmp_path, nonsense=1)


def test_numbers_that_a_feature_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'n'"):
        ray.data.from_arrow(pa.table({"n": pa.array([2**64 - 1], pa.uint64())})).write_tfrecords(tmp_path)


def test_types_that_orc_writes_as_others(tmp_path: Path) -> None:
    table = pa.table({"d": pa.array(["x", None]).dictionary_encode(), "n": pa.nulls(2)})
    ray.data.from_arrow(table).write_orc(tmp_path)
    assert ray.data.read_orc(tmp_path).take_all() == table.to_pylist()
    with pytest.raises(TypeError, match="'u' is list<item: uint8>"):
        ray.data.from_arrow(pa.table({"u": pa.array([[1]], pa.list_(pa.uint8()))})).write_orc(tmp_path)


def test_pictures(tmp_path: Path) -> None:
    colours = np.zeros((2, 3, 3), dtype=np.uint8)
    ray.data.from_items([{"p": colours}, {"p": colours}]).write_images(tmp_path, "p", "bmp")
    assert len(names(tmp_path)) == 2 and ray.data.read_images(tmp_path).take(1)[0]["image"].shape == (2, 3, 3)
    with pytest.raises(ValueError, match="'p' has an array that is no picture"):
        ray.data.from_items([{"p": np.zeros((2, 3, 7))}]).write_images(tmp_path / "a", "p")
    with pytest.raises(ValueError, match="Pillow has no format"):
        ray.data.from_items([{"p": colours}]).write_images(tmp_path / "b", "p", "nope")


def test_encoders_of_samples(tmp_path: Path) -> None:
    rows = [{"__key__": "k", "data": [1, 2]}]
    with pytest.raises(TypeError, match="'data' holds list"):
        ray.data.from_items(rows).write_webdataset(tmp_path / "a")

    def encode(row: Row) -> Row:
        return {"__key__": row["__key__"], "data": bytes(row["data"])}

    ray.data.from_items(rows).write_webdataset(tmp_path / "b", encoder=encode)
    assert ray.data.read_webdataset(tmp_path / "b").take_all() == [{"__key__": "k", "data": b"\1\2"}]
    with pytest.raises(TypeError, match="not bytes"):
        ray.data.from_items(rows).write_webdataset(tmp_path / "c", encoder=None)


class TestSamples:
    """WebDataset: which members belong together."""

    def write(self, path: Path, *members: tuple[str, bytes]) -> Path:
        from tests.data.formats import tar

        path.write_bytes(tar(list(members)))
        return path

    def test_members_in_any_order_are_whole_samples(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            self.write(tmp_path / f"{name}.tar", *((f"{i:06d}.{part}", part.encode()) for part in "xy" for i in (0, 1)))
        rows = ray.data.read_webdataset(tmp_path).take_all()
        assert [row["__key__"] for row in rows] == ["000000", "000001"] * 2  # the same key in two files is two samples
        assert all(row["x"] == b"x" and row["y"] == b"y" for row in rows)

    def test_keys_end_at_the_first_dot_of_the_name(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.tar", ("d.1/x.seg.txt", b"s"), ("d.1/x.txt", b"t"), ("d.2/x.txt", b"u"))
        assert ray.data.read_webdataset(path).take_all() == [
            {"__key__": "d.1/x", "seg.txt": "s", "txt": "t"},
            {"__key__": "d.2/x", "seg.txt": None, "txt": "u"},
        ]

    def test_a_member_that_is_there_twice(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "a.tar", ("x.txt", b"s"), ("x.txt", b"t"))
        with pytest.raises(ValueError, match=r"a\.tar: sample 'x' has two members 'txt'"):
            ray.data.read_webdataset(path).take_all()

    def test_choices(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path / "a.tar", ("x.json", b'{"a": 1, "b": 2}'), ("x.cls", b"7"), ("x.pyd", b"never"), ("y.cls", b"8")
        )
        found = ray.data.read_webdataset(path, expand_json=True, suffixes=["json", "cls"]).take_all()
        assert found[0] == {"__key__": "x", "a": 1, "b": 2, "cls": 7}
        assert ray.data.read_webdataset(path, fileselect=lambda name: name.startswith("y")).count() == 1
        assert ray.data.read_webdataset(path, filerename=[("cls", "txt")], suffixes=["txt"]).take(1)[0]["txt"] == "7"
        assert ray.data.read_webdataset(path, decoder=None).take(1)[0]["cls"] == b"7"
        assert ray.data.read_webdataset(path).take(1)[0]["pyd"] == b"never"  # a pickle stays bytes
        custom = ray.data.read_webdataset(path, decoder=[lambda sample: {"n": len(sample)}])
        assert custom.take_all() == [{"n": 4}, {"n": 2}]
        self.write(path, ("x.cls", b"seven"))
        with pytest.raises(ValueError, match="member 'cls' of sample 'x'"):
            ray.data.read_webdataset(path).take_all()

    @pytest.mark.parametrize(("codec", "ending"), [("gzip", "gz"), ("bz2", "bz2"), ("zstd", "zst"), ("lz4", "lz4")])
    def test_files_of_several_compressed_pieces(self, codec: str, ending: str, tmp_path: Path) -> None:
        from tests.data.test_files import compressed

        content = self.write(tmp_path / "w", *((f"{i}.txt", b"%d" % i) for i in range(3))).read_bytes()
        path = tmp_path / f"a.tar.{ending}"
        whole = compressed(codec, content[:700], content[700:])
        path.write_bytes(whole)
        assert [row["txt"] for row in ray.data.read_webdataset(path).take_all()] == ["0", "1", "2"]
        path.write_bytes(whole[:-3])
        with pytest.raises(ValueError, match=r"a\.tar"):
            ray.data.read_webdataset(path).take_all()

    def test_archives_in_a_row_and_cut_off(self, tmp_path: Path) -> None:
        one = self.write(tmp_path / "1", ("a.txt", b"1")).read_bytes()
        path = tmp_path / "a.tar"
        path.write_bytes(one + self.write(tmp_path / "2", ("b.txt", b"2")).read_bytes())
        assert [row["txt"] for row in ray.data.read_webdataset(path).take_all()] == ["1", "2"]
        path.write_bytes(one[:1024])  # all members, and no end
        with pytest.raises(ValueError, match="cut off"):
            ray.data.read_webdataset(path).take_all()


class TestRecords:
    """TFRecords: features of several files."""

    def test_absent_features_and_lists(self, tmp_path: Path) -> None:
        from tests.data.formats import tfrecords

        (tmp_path / "a.tfrecords").write_bytes(tfrecords([{"n": 1, "v": None}, {"v": None}]))
        (tmp_path / "b.tfrecords").write_bytes(tfrecords([{"n": 2, "v": [1.5, 2.5]}, {"n": 3, "v": [0.5]}]))
        dataset = ray.data.read_tfrecords(tmp_path)
        assert dataset.schema().types == [pa.int64(), pa.list_(pa.float32())]  # type: ignore[union-attr]
        assert dataset.take_all() == [
            {"n": 1, "v": None},
            {"n": None, "v": None},
            {"n": 2, "v": [1.5, 2.5]},
            {"n": 3, "v": [0.5]},
        ]
        assert dataset.sort("n").to_pandas()["n"].tolist()[:3] == [1, 2, 3]

    def test_damage_inside(self, tmp_path: Path) -> None:
        from tests.data.formats import tfrecords

        path = tmp_path / "a.tfrecords"
        content = bytearray(tfrecords([{"n": 1}, {"n": 2}]))
        content[-6] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{path}: the frame at byte \d+ does not match its checksum"):
            ray.data.read_tfrecords(path).take_all()
        content[0] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match="the length of the frame at byte 0"):
            ray.data.read_tfrecords(path).take_all()
