"""Files read and written, on the local disk."""

import datetime
import gzip
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
import pytest

import ray_async as ray
from ray_async.data import Partitioning
from ray_async.data.expressions import col


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def compressed(codec: str, *parts: bytes) -> bytes:
    found = b""
    for part in parts:
        buffer = pa.BufferOutputStream()
        with pa.CompressedOutputStream(buffer, codec) as stream:
            stream.write(part)
        found += buffer.getvalue().to_pybytes()
    return found


class TestListing:
    def test_folders_patterns_and_hidden_files(self, tmp_path: Path) -> None:
        for name in ("b.csv", "a.csv", "sub/c.csv", "_SUCCESS", ".hid.csv", "_tmp/d.csv", "note.txt"):
            write(tmp_path / name, "x\n1\n")
        dataset = ray.data.read_csv(tmp_path)
        assert [os.path.relpath(path, tmp_path) for path in dataset.input_files()] == ["a.csv", "b.csv", "sub/c.csv"]
        assert len(ray.data.read_csv(f"{tmp_path}/*.csv").input_files()) == 2
        assert ray.data.read_csv(f"file://{tmp_path}/a.csv").take_all() == [{"x": 1}]
        assert ray.data.read_csv(tmp_path / "note.txt").take_all() == [{"x": 1}]

    def test_the_order_of_paths_is_kept(self, tmp_path: Path) -> None:
        paths = [write(tmp_path / f"{name}.csv", f"x\n{i}\n") for i, name in enumerate("cab")]
        assert [row["x"] for row in ray.data.read_csv(paths).take_all()] == [0, 1, 2]

    def test_what_is_missing_is_told_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="nope"):
            ray.data.read_csv(tmp_path / "nope.csv")
        with pytest.raises(FileNotFoundError):
            ray.data.read_parquet(f"{tmp_path}/*.parquet")
        with pytest.raises(ValueError, match="no files found"):
            ray.data.read_csv(tmp_path)
        good = write(tmp_path / "a.csv", "x\n1\n")
        assert ray.data.read_csv([good, tmp_path / "nope"], ignore_missing_paths=True).count() == 1


def test_options_that_do_not_exist(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a;b\n1;2\n")
    bad: dict[str, Any] = {"override_num_block": 3}
    with pytest.raises(TypeError, match=r"'override_num_block'\. Did you mean 'override_num_blocks'"):
        ray.data.read_csv(path, **bad)
    for name in ("sep", "delimiter"):
        bad = {name: ";"}
        with pytest.raises(TypeError, match=f"no '{name}': give parse_options="):
            ray.data.read_csv(path, **bad)
    options = pacsv.ParseOptions(delimiter=";")
    assert ray.data.read_csv(path, parse_options=options).take_all() == [{"a": 1, "b": 2}]
    bad = {"filesystm": None}
    with pytest.raises(TypeError, match=r"'filesystm'\. Did you mean 'filesystem'"):
        ray.data.range(1).write_tfrecords(tmp_path, **bad)
    with pytest.raises(ValueError, match=r"mode must be one of 'append', .*, but is 'overwite'"):
        ray.data.range(1).write_csv(tmp_path, mode="overwite")


class TestCSV:
    def test_types_of_all_files_are_put_together(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "x,y\n1,a\n")
        write(tmp_path / "b.csv", "y,x,z\nb,1.5,3\n")
        dataset = ray.data.read_csv(tmp_path)
        assert dataset.take_all() == [{"x": 1.0, "y": "a", "z": None}, {"x": 1.5, "y": "b", "z": 3}]
        assert dataset.schema().types == [pa.float64(), pa.string(), pa.int64()]  # type: ignore[union-attr]

    def test_a_type_that_changes_late_in_the_file(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "x\n" + "1\n" * 700_000 + "1.5\n")
        assert ray.data.read_csv(tmp_path).max("x") == 1.5

    @pytest.mark.parametrize(("codec", "ending"), [("gzip", "gz"), ("bz2", "bz2"), ("zstd", "zst"), ("lz4", "lz4")])
    def test_files_of_several_compressed_pieces(self, codec: str, ending: str, tmp_path: Path) -> None:
        content = compressed(codec, b"a,b\n1,1\n2,", b"2\n", b"3,3\n")
        path = write(tmp_path / f"a.csv.{ending}", content)
        assert [row["a"] for row in ray.data.read_csv(path).take_all()] == [1, 2, 3]
        write(path, content[:-3])
        with pytest.raises(ValueError, match=str(path)):
            ray.data.read_csv(path).take_all()

    def test_empty_and_broken_files(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "")
        write(tmp_path / "b.csv", "x,y\n1,2\n")
        with pytest.warns(UserWarning, match=r"a\.csv is empty"):
            assert ray.data.read_csv(tmp_path).take_all() == [{"x": 1, "y": 2}]
        write(tmp_path / "a.csv", "x,y\n1,2,3\n")
        with pytest.raises(ValueError, match=r"a\.csv"):
            ray.data.read_csv(tmp_path).take_all()

    def test_written_and_read_back(self, tmp_path: Path) -> None:
        rows = [{"a": 1, "b": 'say "x", y'}, {"a": None, "b": ""}]
        ray.data.from_items(rows).write_csv(tmp_path)
        assert ray.data.read_csv(tmp_path).take_all() == rows
        with pytest.raises(TypeError, match="'v'"):
            ray.data.from_items([{"v": [1]}]).write_csv(tmp_path / "no")


class TestJSON:
    def test_forms_of_files(self, tmp_path: Path) -> None:
        write(tmp_path / "a.json", '{"a": 1}\n\n{"a": 2, "b": null}\n')
        write(tmp_path / "b.jsonl.gz", gzip.compress(b'{"a": 3}'))
        write(tmp_path / "c.json", '[{"a": 4},\n {"a": 5}]')
        write(tmp_path / "d.json", '{\n  "a": 6\n}\n')
        write(tmp_path / "e.json", "")
        assert [row["a"] for row in ray.data.read_json(tmp_path).take_all()] == [1, 2, 3, 4, 5, 6]

    def test_lists_and_structs_that_differ(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.jsonl", '["a", "b"]\n["c"]\n')
        assert ray.data.read_json(path, lines=True).take_all() == [{"0": "a", "1": "b"}, {"0": "c", "1": None}]
        write(path, '{"b": {"c": 2}}\n{"b": {"c": {"d": 1}}}\n')
        assert ray.data.read_json(path).take_all() == [{"b": {"c": 2}}, {"b": {"c": {"d": 1}}}]

    def test_a_value_that_comes_late(self, tmp_path: Path) -> None:
        lines = ['{"a": null}'] * 170_000 + ['{"a": "x"}']
        write(tmp_path / "a.json", "\n".join(lines))
        assert ray.data.read_json(tmp_path).unique("a") == [None, "x"]

    def test_broken_files_say_where(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.json", '{"a": 1}\n{"a": \n')
        with pytest.raises(json.JSONDecodeError, match=r"a\.json, line 2"):
            ray.data.read_json(path).take_all()
        write(path, '{"a": 1}\n{"a": "x"}\n')
        with pytest.raises(ValueError, match=r"a\.json: column 'a' is int at first and str in line 2"):
            ray.data.read_json(path).take_all()

    def test_types_of_columns(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.json", '{"a": 1, "b": "x"}\n{"a": 2}\n')
        known = pa.schema([("a", pa.float64()), ("c", pa.string())])

        def read(others: str) -> Any:
            options = pajson.ParseOptions(explicit_schema=known, unexpected_field_behavior=others)
            return ray.data.read_json(path, parse_options=options, read_options=pajson.ReadOptions(block_size=1))

        assert read("ignore").take_all() == [{"a": 1.0, "c": None}, {"a": 2.0, "c": None}]
        assert read("infer").take(1) == [{"a": 1.0, "c": None, "b": "x"}] and read("infer").count() == 2
        with pytest.raises(ValueError, match=r"a\.json: 'b' is not in the explicit schema"):
            read("error").take_all()
        known = pa.schema([("b", pa.int64())])
        with pytest.raises(ValueError, match=r"a\.json: column 'b'"):
            read("ignore").take_all()

    def test_values_come_back_equal(self, tmp_path: Path) -> None:
        utc = datetime.datetime(1960, 1, 1, 12, 0, 0, 5, tzinfo=datetime.UTC)
        rows = [
            {"f": 0.30000000000000004, "i": 2**63 - 1, "t": utc, "d": datetime.date(1960, 2, 29), "s": "é/\u2028"},
            {"f": 1.2345678901234567e-7, "i": None, "t": None, "d": None, "s": None},
            {"f": 1e22, "i": 0, "t": utc, "d": datetime.date(2024, 2, 29), "s": ""},
            {"f": -0.0, "i": -1, "t": utc, "d": None, "s": "x"},
        ]
        ray.data.from_items(rows).write_json(tmp_path)
        found = ray.data.read_json(tmp_path).take_all()
        assert found == rows and math.copysign(1, found[3]["f"]) == -1
        nested = [{"l": [[1], []], "s": {"x": {"y": [None, 2.5]}}}]
        ray.data.from_items(nested).write_json(tmp_path / "n")
        assert ray.data.read_json(tmp_path / "n").take_all() == nested

    def test_what_json_has_no_form_for(self, tmp_path: Path) -> None:
        ray.data.from_items([math.nan, math.inf, 1.0]).write_json(tmp_path)
        assert [row["item"] for row in ray.data.read_json(tmp_path).take_all()] == [None, None, 1.0]
        with pytest.raises(TypeError, match="'b'"):
            ray.data.from_items([{"b": b"x"}]).write_json(tmp_path / "b")


class TestOtherFormats:
    def test_text(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.txt", "one\r\n\ntwo\n")
        assert ray.data.read_text(path).take_all() == [{"text": "one"}, {"text": "two"}]
        assert ray.data.read_text(path, drop_empty_lines=False).count() == 3
        assert ray.data.read_text(path, include_paths=True).take(1)[0]["path"] == str(path)

    def test_binary(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.bin.gz", gzip.compress(b"x"))
        assert ray.data.read_binary_files(path).take_all() == [{"bytes": path.read_bytes()}]

    def test_numpy(self, tmp_path: Path) -> None:
        array = np.arange(12.0).reshape(3, 2, 2)
        ray.data.from_numpy(array).write_numpy(tmp_path, column="data")
        found = [row["data"] for row in ray.data.read_numpy(tmp_path).take_all()]
        np.testing.assert_array_equal(np.stack(found), array)
        np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
        with pytest.raises(ValueError, match=r"o\.npy"):
            ray.data.read_numpy(tmp_path / "o.npy").take_all()

    def test_images_of_all_modes(self, tmp_path: Path) -> None:
        image = pytest.importorskip("PIL.Image")
        for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"):
            name = mode.replace(";", "")
            picture = image.new(mode, (4, 2))
            if mode == "P":
                picture.putpalette([255, 0, 0] * 256)
            picture.save(tmp_path / f"{name}.{'tif' if mode in ('CMYK', 'I;16') else 'png'}")
        rows = ray.data.read_images(tmp_path, mode="RGB", include_paths=True).take_all()
        assert [row["image"].shape for row in rows] == [(2, 4, 3)] * 7
        assert {row["image"].dtype for row in rows} == {np.dtype("uint8")}
        palette = next(row["image"] for row in rows if row["path"].endswith("P.png"))
        assert palette[0, 0].tolist() == [255, 0, 0]
        own = ray.data.read_images([tmp_path / f"{name}.png" for name in ("L", "RGB", "RGBA")])
        assert [row["image"].shape for row in own.take_all()] == [(2, 4), (2, 4, 3), (2, 4, 4)]
        assert [array.shape for array in own.take_batch()["image"]] == [(2, 4), (2, 4, 3), (2, 4, 4)]
        whole = (tmp_path / "RGB.png").read_bytes()
        write(tmp_path / "bad.png", whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=r"bad\.png"):
            ray.data.read_images(tmp_path / "bad.png").take_all()


class TestParquet:
    def test_types_come_back(self, tmp_path: Path) -> None:
        table = pa.table(
            {
                "t": pa.array([0], pa.timestamp("ns", "UTC")),
                "d": pa.array([1], pa.date32()),
                "l": [[1, 2]],
                "s": [{"x": 1}],
                "m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
                "u": pa.array([1], pa.uint8()),
                "b": [b"x"],
            }
        )
        dataset = ray.data.from_arrow(table)
        dataset.write_parquet(tmp_path)
        back = ray.data.read_parquet(tmp_path)
        assert back.schema().base_schema == table.schema and back.take_all() == dataset.take_all()  # type: ignore[union-attr]
        arrays = [{"a": np.ones((2, 2)), "r": np.zeros(i)} for i in range(2)]
        ray.data.from_items(arrays).write_parquet(tmp_path / "arrays")
        found = ray.data.read_parquet(tmp_path / "arrays").take_all()
        np.testing.assert_array_equal(found[1]["r"], [0.0])
        np.testing.assert_array_equal(found[0]["a"], np.ones((2, 2)))

    def test_files_that_differ(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"], "n": pa.nulls(1)}), tmp_path / "1.parquet")
        pq.write_table(pa.table({"c": [1], "a": [2.5], "n": ["q"]}), tmp_path / "2.parquet")
        assert ray.data.read_parquet(tmp_path).take_all() == [
            {"a": 1.0, "b": "x", "n": None, "c": None},
            {"a": 2.5, "b": None, "n": "q", "c": 1},
        ]
        pq.write_table(pa.table({"a": ["x"]}), tmp_path / "3.parquet")
        with pytest.raises(TypeError, match=r"'a'.*1\.parquet.*3\.parquet"):
            ray.data.read_parquet(tmp_path)

    def test_times_with_and_without_zone_name_both_files(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"t": pa.array([0], pa.timestamp("us"))}), tmp_path / "1.parquet")
        pq.write_table(pa.table({"t": pa.array([0], pa.timestamp("us", "UTC"))}), tmp_path / "2.parquet")
        with pytest.raises(TypeError, match=r"'t'.*1\.parquet.*2\.parquet"):
            ray.data.read_parquet(tmp_path)

    def test_columns_and_filters_are_read_by_need(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"a": range(100), "b": ["x"] * 100}), tmp_path / "1.parquet", row_group_size=10)
        dataset = ray.data.read_parquet(tmp_path)
        assert dataset.count() == 100
        narrow = dataset.filter(expr="a >= 95 and b == 'x'").select_columns(["a"])
        assert [row["a"] for row in narrow.take_all()] == [95, 96, 97, 98, 99]
        assert "ReadParquet  [columns: a]" in narrow.explain()
        assert ray.data.read_parquet(tmp_path, columns=["b"]).columns() == ["b"]
        assert ray.data.read_parquet(tmp_path, filter=col("a") < 2).count() == 2
        assert ray.data.read_parquet(tmp_path, override_num_blocks=7).materialize().num_blocks() == 7
        assert [row["a"] for row in ray.data.read_parquet(tmp_path, override_num_blocks=30).take_all()] == list(
            range(100)
        )
        with pytest.raises(KeyError, match="'zz'"):
            ray.data.read_parquet(tmp_path, columns=["zz"])

    def test_partitions(self, tmp_path: Path) -> None:
        rows = [
            {"v": i, "year": year, "c": c}
            for i, (year, c) in enumerate([("2020", "07"), ("2021", "a b"), (None, "07")])
        ]
        ray.data.from_items(rows).write_parquet(tmp_path, partition_cols=["year", "c"])
        assert {str(Path(name).parent) for name in names(tmp_path)} == {
            "year=2020/c=07",
            "year=2021/c=a b",
            "year=__HIVE_DEFAULT_PARTITION__/c=07",
        }
        dataset = ray.data.read_parquet(tmp_path)
        assert dataset.sort("v").take_all() == rows
        assert dataset.filter(expr="c == '07'").select_columns(["v"]).sort("v").take_all() == [{"v": 0}, {"v": 2}]
        assert dataset.select_columns(["year"]).columns() == ["year"]
        assert ray.data.read_parquet(tmp_path, partitioning=None).columns() == ["v"]
        folders = write(tmp_path / "dirs" / "2024" / "05" / "a.csv", "x\n1\n")
        parts = Partitioning("dir", base_dir=str(tmp_path / "dirs"), field_names=["year", "month"])
        assert ray.data.read_csv(folders, partitioning=parts).take_all() == [{"x": 1, "year": "2024", "month": "05"}]

    def test_damaged_files_are_named_at_once(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.parquet", "not parquet")
        with pytest.raises(ValueError, match=r"a\.parquet is no Parquet file"):
            ray.data.read_parquet(path)

    def test_python_objects_are_written_with_a_warning_and_not_read(self, tmp_path: Path) -> None:
        with pytest.warns(UserWarning, match="'item' holds Python objects"):
            ray.data.from_items([1 + 2j]).write_parquet(tmp_path)
        with pytest.raises(ValueError, match="pickled Python objects"):
            ray.data.read_parquet(tmp_path)


class TestWriting:
    def test_modes(self, tmp_path: Path) -> None:
        folder = tmp_path / "x.parquet"
        dataset = ray.data.range(4)
        for _ in range(2):
            dataset.write_parquet(folder)
        assert ray.data.read_parquet(folder).count() == 8
        with pytest.raises(ValueError, match="already exists"):
            dataset.write_parquet(folder, mode="error")
        dataset.write_parquet(folder, mode="ignore")
        assert ray.data.read_parquet(folder).count() == 8
        dataset.limit(1).write_parquet(folder, mode="overwrite")
        assert ray.data.read_parquet(folder).take_all() == [{"id": 0}]
        with pytest.raises(ValueError):
            dataset.write_parquet(folder, mode="nonsense")

    def test_a_folder_that_is_read_can_be_overwritten(self, tmp_path: Path) -> None:
        ray.data.range(10).write_parquet(tmp_path / "d")
        os.symlink(tmp_path / "d", tmp_path / "link")
        for path in ("d", "link", "d/"):
            dataset = ray.data.read_parquet(tmp_path / "d")
            dataset.with_column("id", col("id") + 1).write_parquet(f"{tmp_path}/{path}", mode="overwrite")
        assert ray.data.read_parquet(tmp_path / "d").sum("id") == 45 + 30

    def test_no_rows_still_have_a_schema(self, tmp_path: Path) -> None:
        ray.data.range(3).filter(expr="id > 5").write_parquet(tmp_path)
        back = ray.data.read_parquet(tmp_path)
        assert len(names(tmp_path)) == 1 and back.columns() == ["id"] and back.take_all() == []

    def test_rows_per_file(self, tmp_path: Path) -> None:
        ray.data.range(6, override_num_blocks=6).write_csv(tmp_path / "a", min_rows_per_file=3)
        assert len(names(tmp_path / "a")) == 2
        ray.data.range(10).write_csv(tmp_path / "b", max_rows_per_file=4)
        assert len(names(tmp_path / "b")) == 3 and ray.data.read_csv(tmp_path / "b").sum("id") == 45

    def test_a_failed_write_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        ray.data.range(3).write_parquet(tmp_path)
        before = names(tmp_path)

        def fail(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("the disk is full")

        monkeypatch.setattr(pq, "write_table", fail)
        for mode in ("append", "overwrite"):
            with pytest.raises(RuntimeError, match="disk is full"):
                ray.data.range(5).write_parquet(tmp_path, mode=mode)
        assert names(tmp_path) == before and os.listdir(tmp_path) == before

    def test_the_count_is_known_after_a_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dataset = ray.data.range(100).filter(expr="id > 89")
        dataset.write_parquet(tmp_path)

        def run_again(self: Any) -> None:
            pytest.fail("was run again")

        monkeypatch.setattr(type(dataset), "_run_all", run_again)
        assert dataset.count() == 10
