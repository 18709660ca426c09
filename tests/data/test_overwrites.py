"""Overwriting of folders that are being read, by whatever name: the new rows or the old ones, never neither."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray

pytestmark = pytest.mark.usefixtures("session")


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


def more(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"] + 100}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of ten files with a row each."""
    ray.data.range(10, override_num_blocks=10).write_parquet(tmp_path / "d")
    (tmp_path / "link").symlink_to(tmp_path / "d")
    return tmp_path / "d"


@pytest.mark.parametrize(
    "name",
    [lambda d: f"{d}/", lambda d: f"file://{d}", lambda d: str(d.parent / "link"), str],
    ids=["slash", "uri", "link", "plain"],
)
def test_by_other_names(name: Callable[[Path], str], folder: Path) -> None:
    ray.data.read_parquet(folder).map(more).write_parquet(name(folder), mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == list(range(100, 110))


def test_of_one_file_a_union_and_the_folder_above(folder: Path) -> None:
    one = sorted(folder.iterdir())[0]
    ray.data.read_parquet(one).map(more).write_parquet(folder, mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == [100]
    ray.data.range(3).write_parquet(folder.parent / "e")
    both = ray.data.read_parquet(folder).union(ray.data.read_parquet(folder.parent / "e"))
    both.write_parquet(folder, mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == [100, 0, 1, 2]
    (folder.parent / "link").unlink()
    ray.data.read_parquet(folder).map(more).write_parquet(folder.parent, mode="overwrite")
    assert ids(ray.data.read_parquet(folder.parent)) == [200, 100, 101, 102]


def test_by_fewer_and_by_more_rows(folder: Path) -> None:
    ray.data.range(100, override_num_blocks=10).write_parquet(folder, mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == list(range(100))
    ray.data.range(1).write_parquet(folder, mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == [0]


def test_a_driver_that_is_killed_leaves_the_old_rows(folder: Path) -> None:
    child = os.fork()
    if child == 0:  # a driver of its own, that dies when all is written and nothing is published
        try:
            import ray_async.data.sinks.files as files

            files.FileSink.commit = lambda self, receipts, schema: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign, assignment]
            ray.data.range(5).write_parquet(folder, mode="overwrite")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert ids(ray.data.read_parquet(folder)) == list(range(10))
    ray.data.range(3).write_parquet(folder, mode="overwrite")
    assert ids(ray.data.read_parquet(folder)) == [0, 1, 2]
