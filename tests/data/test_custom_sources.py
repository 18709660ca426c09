"""Sources and sinks of users' own."""

import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import BlockMetadata, Datasink, Datasource, ReadTask, TaskContext, WriteResult

pytestmark = pytest.mark.usefixtures("session")


class Letters(Datasource):
    def __init__(self, text: str) -> None:
        self.text = text

    def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None) -> list[ReadTask]:
        size = -(-len(self.text) // parallelism)
        parts = [self.text[start : start + size] for start in range(0, len(self.text), size)]
        schema = pa.schema([("letter", pa.string())])
        return [ReadTask(partial(read, part), BlockMetadata(len(part)), schema) for part in parts]


def read(part: str) -> Iterator[dict[str, Any]]:
    for letter in part:
        yield {"letter": [letter]}


class Files(Datasink):
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Any] = []

    def on_write_start(self, schema: pa.Schema | None = None) -> None:
        self.events.append("start")

    def write(self, blocks: Iterable[pa.Table], ctx: TaskContext) -> Any:
        rows = [row for block in blocks for row in block.to_pylist()]
        if any(row["letter"] == "!" for row in rows):
            raise ValueError("an exclamation mark")
        (self.folder / f"{ctx.task_idx}").write_text("".join(row["letter"] for row in rows))
        return ctx.task_idx

    def on_write_complete(self, write_result: WriteResult) -> None:
        self.events.append((write_result.num_rows, write_result.write_returns))

    def on_write_failed(self, error: BaseException) -> None:
        self.events.append(isinstance(error, ValueError))


def test_a_source() -> None:
    dataset = ray.data.read_datasource(Letters("hello"), override_num_blocks=2)
    assert dataset.columns() == ["letter"] and dataset.count() == 5
    assert "".join(row["letter"] for row in dataset.take_all()) == "hello"
    assert dataset.materialize().num_blocks() == 2
    assert dataset.map(lambda row: {"up": row["letter"].upper()}).take(1) == [{"up": "H"}]
    limited = ReadTask(lambda: [{"a": [1, 2, 3]}, {"a": [4]}], per_task_row_limit=2)
    assert [table.num_rows for table in limited()] == [2]

    class Older(Datasource):
        def prepare_read(self, parallelism: int, n: int) -> list[ReadTask]:
            return [ReadTask(lambda: [pd.DataFrame({"id": [1] * n})])] * parallelism

    older = ray.data.read_datasource(Older(), override_num_blocks=3, n=2)
    assert older.limit(5).count() == 5 and len(older.get_internal_block_refs()) == 3
    assert [bundle.num_rows() for bundle in older.iter_internal_ref_bundles()] == [2, 2, 2]
    frames = ReadTask(lambda: [pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})], per_task_row_limit=3)
    assert [list(frame["a"]) for frame in frames()] == [[1, 2], [3]]
    with pytest.raises(TypeError, match="expects a Datasource"):
        ray.data.read_datasource("nope")  # type: ignore[arg-type]


def test_signals_of_the_end_in_a_read_are_errors() -> None:
    class Broken(Datasource):
        def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None) -> list[ReadTask]:
            return [ReadTask(lambda: next(iter(())))]

    with pytest.raises(RuntimeError, match="StopIteration"):
        ray.data.read_datasource(Broken()).take_all()


def test_a_sink(tmp_path: Path) -> None:
    sink = Files(tmp_path)
    ray.data.read_datasource(Letters("hello"), override_num_blocks=2).write_datasink(sink)
    assert sink.events == ["start", (5, [0, 1])]
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["hel", "lo"]
    bad = Files(tmp_path)
    with pytest.raises(ValueError, match="exclamation"):
        ray.data.read_datasource(Letters("a!")).write_datasink(bad)
    assert bad.events == ["start", True]


def test_a_sink_hears_of_a_failure_when_all_its_calls_have_ended(tmp_path: Path) -> None:
    class Slow(Datasink):
        def write(self, blocks: Any, ctx: Any) -> None:
            (block,) = blocks
            other = tmp_path / "other"
            if block.column("letter")[0].as_py() == "a":
                while not other.exists():
                    threading.Event().wait(0.01)
                raise ValueError("the first has failed")
            try:
                other.touch()
                while True:
                    threading.Event().wait(0.01)
            finally:
                threading.Event().wait(0.5)  # for what must not be interrupted
                (tmp_path / "ended").touch()

        def on_write_failed(self, error: BaseException) -> None:
            (tmp_path / "failed").write_text(str((tmp_path / "ended").exists()))

    with pytest.raises(ValueError, match="first"):
        ray.data.read_datasource(Letters("ab"), override_num_blocks=2).write_datasink(Slow())
    assert (tmp_path / "failed").read_text() == "True"
