"""Writers that are killed: every row is there once, every file opens, and readers see no file that is not finished."""

import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.sinks import files

pytestmark = pytest.mark.usefixtures("session")

WRITERS: dict[str, tuple[Any, Any]] = {
    "parquet": (lambda d, path: d.write_parquet(path), ray.data.read_parquet),
    "partitions": (lambda d, path: d.write_parquet(path, partition_cols=["k"]), ray.data.read_parquet),
    "csv": (lambda d, path: d.write_csv(path), ray.data.read_csv),
    "json": (lambda d, path: d.write_json(path), ray.data.read_json),
}


def keyed(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "k": row["id"] % 3}


def die_once(mark: Path) -> None:
    """Kill this process, unless one has died here before."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("when", ["in the middle", "at the end"])
@pytest.mark.parametrize("kind", WRITERS)
def test_a_killed_writer_leaves_and_doubles_nothing(kind: str, when: str, tmp_path: Path) -> None:
    write, read = WRITERS[kind]
    mark, out = tmp_path / "died", tmp_path / "out"

    class DyingFormat:
        """The format, whose writer dies with half of its first file."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.name, self.extension = inner.name, inner.extension
            if hasattr(inner, "decode"):
                self.decode = inner.decode

        def check(self, schema: pa.Schema) -> None:
            self.inner.check(schema)

        def encode(self, table: pa.Table, stream: Any) -> None:
            if when == "in the middle":
                buffer = pa.BufferOutputStream()
                self.inner.encode(table, buffer)
                content = buffer.getvalue()
                stream.write(content[: content.size // 2])
                stream.flush()
                die_once(mark)
                stream.write(content[content.size // 2 :])
                return
            self.inner.encode(table, stream)
            stream.flush()
            if table.column("id")[-1].as_py() == 29:
                die_once(mark)

    original = files.FileSink

    class DyingSink(original):  # type: ignore[misc, valid-type]
        def __post_init__(self) -> None:
            self.format = DyingFormat(self.format)
            super().__post_init__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray_async.data.dataset.writing.FileSink", DyingSink)
        write(ray.data.range(30, override_num_blocks=3).map(keyed), out)
    assert mark.exists()
    assert sorted(row["id"] for row in read(str(out)).take_all()) == list(range(30))
    left = [path for path in out.rglob("*") if path.is_file()]
    assert all(path.suffix in (".parquet", ".csv", ".json") and not path.name.startswith(".") for path in left)
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_function_that_raises_leaves_earlier_files_as_they_were(kind: str, tmp_path: Path) -> None:
    write, _ = WRITERS[kind]
    out = tmp_path / "out"
    write(ray.data.range(6).map(keyed), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def fail(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == 17:
            raise ValueError("seventeen")
        return keyed(row)

    with pytest.raises(ValueError, match="seventeen"):
        write(ray.data.range(20, override_num_blocks=4).map(fail), out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_full_disk_is_told_with_the_path_and_leaves_nothing(tmp_path: Path) -> None:
    class Full:
        name, extension = "Full", "full"

        def check(self, schema: pa.Schema) -> None:
            return

        def encode(self, table: pa.Table, stream: Any) -> None:
            stream.write(b"half")
            with open("/dev/full", "wb", buffering=0) as full:
                full.write(b"x")

    sink = files.FileSink(str(tmp_path / "out"), Full())
    with pytest.raises(OSError, match=r"Failed to write .*out.*No space left") as caught:
        ray.data.range(4)._write(sink)
    assert getattr(caught.value, "errno", None) == 28 or "28" in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []
