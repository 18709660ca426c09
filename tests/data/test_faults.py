"""Deaths of workers, stores that ask to slow down, errors that cannot travel, libraries with threads."""

import io
import os
import signal
import threading
import time
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem

import ray_async as ray
from ray_async.data import Datasource, ReadTask
from ray_async.data.sources.retrying import ATTEMPTS, retried

pytestmark = pytest.mark.usefixtures("session")

# Polars and Arrow start threads with their first work, once for the process; they are no test's leak.
pl.LazyFrame({"a": [2, 1]}).sort("a").collect().to_arrow()


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


class NeedsTwo(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"needs {one} and {two}")


def with_lambda() -> Exception:
    return ValueError("has a function", lambda: 1)


def with_lock() -> Exception:
    error = KeyError("has a lock")
    error.lock = threading.Lock()
    return error


def of_http() -> Exception:
    return urllib.error.HTTPError("http://x", 404, "is missing", {}, io.BytesIO())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (with_lambda, ValueError, "has a function"),
        (lambda: NeedsTwo(1, 2), NeedsTwo, "needs 1 and 2"),
        (of_http, OSError, "is missing"),
        (with_lock, KeyError, "has a lock"),
    ],
    ids=["lambda", "two arguments", "HTTPError", "lock"],
)
def test_errors_that_cannot_be_pickled(make: Any, kind: type[Exception], words: str) -> None:
    def fail(row: dict[str, Any]) -> dict[str, Any]:
        raise make()

    with pytest.raises(kind) as caught:
        ray.data.range(100, override_num_blocks=20).map(fail).take_all()
    text = str(caught.value)
    assert words in text and "in fail" in text and "raise make()" in text


class Slowing(LocalFileSystem):  # type: ignore[misc]
    """A file system that refuses the first opens."""

    protocol = "slowing"
    cachable = False

    def __init__(self, folder: str, words: str, times: int) -> None:
        super().__init__()
        self.folder, self.words, self.times = folder, words, times

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        for number in range(self.times):
            mark = os.path.join(self.folder, f"{mode}{number}")
            if not os.path.exists(mark):
                with open(mark, "w"):
                    raise OSError(self.words)
        return super()._open(path, mode=mode, **options)


@pytest.mark.parametrize("words", ["AWS Error SLOW_DOWN during GetObject", "bad answer: HTTP status 503"])
def test_a_store_that_asks_to_slow_down(words: str, tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "data").mkdir()
    for index in range(2):
        pq.write_table(pa.table({"id": [index]}), tmp_path / "data" / f"{index}.parquet")
    (tmp_path / "data" / "a.txt").write_text("line\n")
    system = Slowing(str(tmp_path / "marks"), words, 3)
    assert ids(ray.data.read_parquet(str(tmp_path / "data"), filesystem=system)) == [0, 1]
    for mark in (tmp_path / "marks").iterdir():
        mark.unlink()
    assert ray.data.read_text(str(tmp_path / "data" / "a.txt"), filesystem=system).count() == 1
    ray.data.range(2).write_parquet(str(tmp_path / "out"), filesystem=system)
    assert ids(ray.data.read_parquet(tmp_path / "out")) == [0, 1]


class Faltering:
    """An open file, each of whose kinds of calls fails until it has failed so often."""

    def __init__(self, file: Any, folder: str, words: str, times: int) -> None:
        self.file, self.folder, self.words, self.times = file, folder, words, times

    def _falter(self, what: str) -> None:
        for number in range(self.times):
            mark = os.path.join(self.folder, f"{what}{number}")
            if not os.path.exists(mark):
                with open(mark, "w"):
                    raise OSError(self.words)

    def read(self, *args: Any) -> Any:
        self._falter("read")
        return self.file.read(*args)

    def write(self, data: Any) -> Any:
        self._falter("write")
        return self.file.write(data)

    def close(self) -> None:
        if not self.file.closed and self.file.writable():
            self._falter("close")
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class FalteringSystem(LocalFileSystem):  # type: ignore[misc]
    """A file system whose reads, writes and closes fail at first."""

    protocol = "faltering"
    cachable = False

    def __init__(self, folder: str, words: str) -> None:
        super().__init__()
        self.folder, self.words = folder, words

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return Faltering(super()._open(path, mode=mode, **options), self.folder, self.words, 3)


@pytest.mark.parametrize("words", ["AWS Error SLOW_DOWN during GetObject", "bad answer: HTTP status 503"])
def test_a_store_that_falters_in_the_middle(words: str, tmp_path: Path) -> None:
    (tmp_path / "marks").mkdir()
    (tmp_path / "in").mkdir()
    for index in range(3):
        pq.write_table(pa.table({"id": [index]}), tmp_path / "in" / f"{index}.parquet")
        (tmp_path / "in" / f"{index}.csv").write_text(f"id\n{index}\n")
    system = FalteringSystem(str(tmp_path / "marks"), words)
    for read in (ray.data.read_parquet, ray.data.read_csv):
        for mark in (tmp_path / "marks").iterdir():
            mark.unlink()
        found = read(str(tmp_path / "in"), filesystem=system)
        assert ids(found.map(lambda row: row)) == [0, 1, 2]
    for kind in ("parquet", "csv", "json"):
        for mark in (tmp_path / "marks").iterdir():
            mark.unlink()
        getattr(ray.data.range(3), f"write_{kind}")(str(tmp_path / kind), filesystem=system)
        assert {path.name for path in (tmp_path / "marks").iterdir()} >= {"write0", "write2", "close0", "close2"}
        assert ids(getattr(ray.data, f"read_{kind}")(str(tmp_path / kind))) == [0, 1, 2]


def test_a_missing_permission_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("line\n")
    system = Slowing(str(tmp_path), "AWS Error ACCESS_DENIED during GetObject", 1)
    with pytest.raises(OSError, match="ACCESS_DENIED"):
        ray.data.read_text(str(tmp_path / "a.txt"), filesystem=system).take_all()


def test_waits_grow_and_end() -> None:
    waits: list[float] = []

    def fail() -> None:
        raise OSError("AWS Error SLOW_DOWN")

    with pytest.raises(OSError):
        retried(fail, sleep=waits.append)
    assert len(waits) == ATTEMPTS - 1 and all(0 <= wait <= 0.1 * 2**index for index, wait in enumerate(waits))


def test_libraries_with_threads_in_the_driver_and_in_workers(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": range(1000)}), tmp_path / "a.parquet")

    def query(path: str) -> int:
        import pyarrow.dataset

        found = pl.scan_parquet(path).select(pl.col("id").sum()).collect().item()
        return int(found) + int(pyarrow.dataset.dataset(path).count_rows())

    expected = query(str(tmp_path / "a.parquet"))
    pafs.LocalFileSystem().get_file_info(pafs.FileSelector(str(tmp_path)))
    path = str(tmp_path / "a.parquet")
    dataset = ray.data.range(100, override_num_blocks=20)
    found = dataset.map_batches(lambda batch: {"v": np.full(len(batch["id"]), query(path))}, batch_size=1)
    assert {row["v"] for row in found.take_all()} == {expected}


def test_a_reader_that_hangs_is_told_and_left(tmp_path: Path) -> None:
    def hang() -> list[dict[str, Any]]:
        while not (tmp_path / "go").exists():
            time.sleep(0.05)
        return [{"id": [1]}]

    class Hanging(Datasource):
        def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None) -> list[ReadTask]:
            return [ReadTask(hang)]

    dataset = ray.data.read_datasource(Hanging()).map(lambda row: row)
    dataset.context.execution_no_progress_timeout_s = 0.5
    with pytest.raises(TimeoutError, match=r"no call has ended for 0\.5 seconds.*1 of ReadHanging->Map"):
        dataset.take_all()
    assert ids(ray.data.range(4, override_num_blocks=4).map(lambda row: row)) == [0, 1, 2, 3]
    (tmp_path / "go").touch()
    dataset.context.execution_no_progress_timeout_s = None
    assert dataset.take_all() == [{"id": 1}]


def test_a_function_that_keeps_what_it_gets_does_not_stop_others() -> None:
    kept: list[Any] = []

    def leak(batch: dict[str, Any]) -> dict[str, Any]:
        kept.append(np.ones(1 << 18))
        return batch

    assert ray.data.range(60, override_num_blocks=60).map_batches(leak).take_all() == [{"id": i} for i in range(60)]


def test_one_row_larger_than_the_budget() -> None:
    dataset = ray.data.range(3, override_num_blocks=3).map(
        lambda row: {"id": row["id"], "x": np.zeros(1 << (20 if row["id"] == 1 else 2))}
    )
    dataset.context.execution_options.resource_limits.object_store_memory = 1 << 20
    dataset.context.target_max_block_size = 1 << 16
    assert [len(row["x"]) for row in dataset.take_all()] == [4, 1 << 20, 4]
    assert [row["n"] for row in dataset.sort("id").map(lambda row: {"n": len(row["x"])}).take_all()] == [4, 1 << 20, 4]


def test_a_signal_for_another_call_does_not_stop_arrow() -> None:
    def read(row: dict[str, Any]) -> dict[str, Any]:
        class Late(io.BytesIO):
            """Bytes whose reader gets the signal that stopped the call before."""

            def read(self, size: int | None = -1) -> bytes:
                os.kill(os.getpid(), signal.SIGINT)
                return super().read(size)

        return {"rows": pacsv.read_csv(Late(b"a,b\n1,2\n" * 10)).num_rows}

    assert ray.data.range(2).map(read).take_all() == [{"rows": 19}] * 2


def test_the_traceback_of_many_alike_failures_is_shown_once(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(row: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("all alike")

    with pytest.raises(ValueError) as caught:
        ray.data.range(100, override_num_blocks=100).map(fail).take_all()
    shown = str(caught.value) + "".join(capfd.readouterr())
    assert shown.count("Traceback (most recent call last)") <= 1 and shown.count("raise ValueError") == 1


class FullDisk:
    """Lets its process write no file of more than four kilobytes."""

    def __init__(self) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {**batch, "noise": np.random.default_rng(0).random(len(batch["id"]))}


@pytest.mark.parametrize("how", ["write_parquet", "write_csv", "write_json"])
def test_a_disk_that_is_full_while_rows_are_written(how: str, tmp_path: Path) -> None:
    dataset = ray.data.range(20_000, override_num_blocks=2).map_batches(FullDisk, concurrency=1)
    with pytest.raises(OSError, match=r"File too large|Errno 27"):
        getattr(dataset, how)(str(tmp_path / "out"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith(".")]
