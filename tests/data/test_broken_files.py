"""Files that are broken, cut off, empty, or of another format: told with their path, or passed over and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

import ray_async as ray

pytestmark = pytest.mark.usefixtures("session")

CODECS = [("gzip", "gz"), ("bz2", "bz2"), ("zstd", "zst"), ("lz4", "lz4")]


def compressed(content: bytes, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def pieces(parts: list[bytes], codec: str) -> bytes:
    return b"".join(compressed(part, codec) for part in parts)


@pytest.mark.parametrize(("codec", "ending"), CODECS)
def test_all_pieces_are_read_and_a_cut_one_is_an_error(codec: str, ending: str, tmp_path: Path) -> None:
    content = pieces([b"a,b\n1,1\n", b"2,2\n3", b",3\n"], codec)
    (tmp_path / f"x.csv.{ending}").write_bytes(content)
    assert ray.data.read_csv(tmp_path / f"x.csv.{ending}").take_all() == [{"a": i, "b": i} for i in (1, 2, 3)]
    (tmp_path / f"x.json.{ending}").write_bytes(pieces([b'{"a":1}\n{"a"', b":2}\n", b'{"a":3}\n'], codec))
    assert [row["a"] for row in ray.data.read_json(tmp_path / f"x.json.{ending}").take_all()] == [1, 2, 3]
    (tmp_path / f"x.txt.{ending}").write_bytes(pieces([b"one\ntw", b"o\n", b"three\n"], codec))
    texts = ray.data.read_text(tmp_path / f"x.txt.{ending}").take_all()
    assert [row["text"] for row in texts] == ["one", "two", "three"]
    for cut in (1, 3):
        (tmp_path / f"cut.csv.{ending}").write_bytes(content[:-cut])
        with pytest.raises((ValueError, OSError), match=rf"cut\.csv\.{ending}"):
            ray.data.read_csv(tmp_path / f"cut.csv.{ending}").take_all()


def damaged_parquet(path: Path) -> None:
    pq.write_table(pa.table({"id": list(range(1000)), "s": [f"text {i}" for i in range(1000)]}), path)
    content = bytearray(path.read_bytes())
    content[30:400] = b"\xff" * 370
    path.write_bytes(content)


def cut_parquet(path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), path)
    path.write_bytes(path.read_bytes()[:-20])


def good_parquet(path: Path) -> None:
    pq.write_table(pa.table({"id": [7], "s": ["good"]}), path)


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(content)

    return write


BROKEN = [
    (ray.data.read_parquet, "parquet", damaged_parquet, good_parquet),
    (ray.data.read_csv, "csv", text("id,s\n1,2\n3\n"), text("id,s\n7,good\n")),
    (ray.data.read_json, "json", text('{"id": 1}\n{"id":'), text('{"id": 7}\n')),
]


@pytest.mark.parametrize(("read", "ending", "broken", "good"), BROKEN, ids=[case[1] for case in BROKEN])
@pytest.mark.parametrize("mapped", [False, True])
def test_broken_files_fail_or_are_passed_over(
    read: Any, ending: str, broken: Any, good: Any, mapped: bool, tmp_path: Path
) -> None:
    for index, make in enumerate((good, broken, good)):
        make(tmp_path / f"{index}.{ending}")
    dataset = read(tmp_path, override_num_blocks=3)
    if mapped:
        dataset = dataset.map(lambda row: row)
    with pytest.raises((ValueError, OSError), match=rf"1\.{ending}"):
        dataset.take_all()
    dataset.context.max_errored_blocks = 1
    assert [row["id"] for row in dataset.take_all()] == [7, 7]
    assert "1 failed" in dataset.stats() and dataset.count() == 2


def test_cut_and_empty_parquet_files_are_named_at_once(tmp_path: Path) -> None:
    cut_parquet(tmp_path / "cut.parquet")
    with pytest.raises(ValueError, match=r"cut\.parquet is no Parquet file, or is damaged"):
        ray.data.read_parquet(tmp_path).take_all()
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "none.parquet").touch()
    with pytest.raises(ValueError, match=r"none\.parquet is no Parquet file"):
        ray.data.read_parquet(tmp_path / "none").take_all()


@pytest.mark.parametrize("damage", [cut_parquet, lambda path: path.write_bytes(b"")], ids=["cut", "no bytes"])
@pytest.mark.parametrize("mapped", [False, True])
def test_parquet_files_without_a_footer_are_passed_over_where_blocks_may_fail(
    damage: Any, mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray.data.DataContext.get_current(), "max_errored_blocks", 1)
    for index, make in enumerate((damage, good_parquet, good_parquet)):
        make(tmp_path / f"{index}.parquet")
    dataset = ray.data.read_parquet(tmp_path)
    assert dataset.columns() == ["id", "s"]
    if mapped:
        dataset = dataset.map(lambda row: row)
    assert [row["id"] for row in dataset.take_all()] == [7, 7]
    assert "1 failed" in dataset.stats() and dataset.count() == 2
    assert dataset.sort("id").count() == 2 and dataset.limit(1).count() == 1
    for strict in (dataset, dataset.sort("id")):
        strict.context.max_errored_blocks = 0
        with pytest.raises(ValueError, match=r"0\.parquet"):
            strict.take_all()
    damage(tmp_path / "1.parquet")
    more = ray.data.read_parquet(tmp_path)
    with pytest.raises(ValueError, match=r"[01]\.parquet"):
        more.take_all()


@pytest.mark.parametrize(
    "read",
    [ray.data.read_parquet, ray.data.read_json, ray.data.read_csv, ray.data.read_numpy, ray.data.read_images],
    ids=lambda read: read.__name__,
)
def test_another_format_is_told_with_the_path(read: Any, tmp_path: Path) -> None:
    (tmp_path / "file.any").write_bytes(b"\x00\x01 neither this\n\n, nor \xff that" * 9)
    with pytest.raises((ValueError, OSError), match=r"file\.any"):
        read(str(tmp_path / "file.any")).take_all()


def test_missing_paths_and_folders_that_cannot_be_made(tmp_path: Path) -> None:
    for read in (ray.data.read_parquet, ray.data.read_csv, ray.data.read_text, ray.data.read_images):
        with pytest.raises(FileNotFoundError, match="missing"):
            read(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        ray.data.range(3).write_csv(tmp_path / "file" / "folder")


class Shut(LocalFileSystem):  # type: ignore[misc]
    """A file system that nobody may read or write."""

    protocol = "shut"

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        raise PermissionError(13, "Permission denied", path)


def test_without_permission(tmp_path: Path) -> None:
    good_parquet(tmp_path / "a.parquet")
    with pytest.raises(PermissionError, match=r"a\.parquet"):
        ray.data.read_parquet(str(tmp_path), filesystem=Shut()).take_all()
    with pytest.raises(PermissionError, match="out"):
        ray.data.range(3).write_csv(str(tmp_path / "out"), filesystem=Shut())
