"""Functions of users, on workers."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import ActorPoolStrategy, RayDataUserCodeException

pytestmark = pytest.mark.usefixtures("session")


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


def sizes(dataset: Any, **options: Any) -> list[int]:
    found = dataset.map_batches(lambda batch: {"n": [len(batch["id"])]}, **options)
    return [row["n"] for row in found.take_all()]


class Adder:
    def __init__(self, number: int, *, factor: int = 1) -> None:
        self.number = number * factor

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"id": batch["id"] + self.number, "pid": np.full(len(batch["id"]), os.getpid())}


def test_rows_are_mapped_filtered_and_multiplied() -> None:
    numbers = ray.data.range(6)
    assert numbers.map(lambda row: {"x": row["id"] * 2}).take(2) == [{"x": 0}, {"x": 2}]
    assert ids(numbers.filter(lambda row: row["id"] % 2)) == [1, 3, 5]
    assert ids(numbers.flat_map(lambda row: [row] * row["id"])) == [1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5]
    assert ids(numbers.flat_map(lambda row: (row for _ in range(2))).limit(3)) == [0, 0, 1]


def test_rows_have_python_values() -> None:
    kinds = ray.data.range(2).map_batches(lambda b: {"a": b["id"], "f": b["id"] * 0.5, "t": b["id"].astype(str)})
    row = kinds.map(lambda row: {name: type(value).__name__ for name, value in row.items()}).take(1)[0]
    assert row == {"a": "int", "f": "float", "t": "str"}


def test_a_filter_does_not_change_rows() -> None:
    def keep(row: dict[str, Any]) -> bool:
        row["id"] = -1
        return True

    assert ids(ray.data.range(3).filter(keep)) == [0, 1, 2]
    assert ids(ray.data.range(3).filter(lambda row: None)) == []
    assert ids(ray.data.range(3).filter(lambda row: np.bool_(row["id"] > 0))) == [1, 2]


def test_batches_of_all_formats_in_and_out() -> None:
    def check(batch: Any) -> Any:
        return {"kind": [type(batch).__module__.split(".")[0] + "." + type(batch).__name__], "id": [len(batch)]}

    expected = {
        "numpy": "builtins.dict",
        "pandas": "pandas.DataFrame",
        "pyarrow": "pyarrow.Table",
        "polars": "polars.DataFrame",
    }
    for name, kind in expected.items():
        assert ray.data.range(3).map_batches(check, batch_format=name).take(1)[0]["kind"] == kind
    mixed = ray.data.range(4).map_batches(lambda b: pa.table(b)).map_batches(lambda b: pd.DataFrame(b))
    assert ids(mixed) == [0, 1, 2, 3]


def test_batch_sizes() -> None:
    small = ray.data.range(12, override_num_blocks=4)
    assert sizes(small) == [3, 3, 3, 3] == sizes(small, batch_size="default")
    assert sizes(small, batch_size=100) == [12] and sizes(small, batch_size=7) == [7, 5]
    assert sizes(small, batch_size=2) == [2, 1] * 4
    assert sizes(small.map(lambda row: row), batch_size=6) == [6, 6]
    assert sizes(small.filter(lambda row: row["id"] > 2)) == [3, 3, 3]


def test_frames_are_changed_in_place_and_the_source_stays() -> None:
    source = ray.data.range(4).materialize()

    def change(frame: Any) -> Any:
        frame["id"] += 10
        frame["new"] = [str(value) for value in frame["id"]]
        return frame

    assert source.map_batches(change, batch_format="pandas").take(1) == [{"id": 10, "new": "10"}]
    assert ids(source) == [0, 1, 2, 3]


def test_arrays_are_read_only_unless_copies_are_asked_for() -> None:
    def change(batch: dict[str, Any]) -> dict[str, Any]:
        batch["id"] += 1
        return batch

    assert ids(ray.data.range(2).map_batches(change, zero_copy_batch=False)) == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        ray.data.range(2).materialize().map_batches(change).take_all()


def test_generators_and_empty_results() -> None:
    def twice(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield batch
        yield batch

    assert ids(ray.data.range(2, override_num_blocks=1).map_batches(twice)) == [0, 1, 0, 1]
    assert ray.data.range(2).map_batches(lambda batch: iter(())).take_all() == []
    assert ray.data.range(2).map_batches(lambda batch: {}).take_all() == []


def test_coroutines_run_at_once_and_keep_the_order() -> None:
    state: dict[str, asyncio.Event] = {}

    async def first_is_last(row: dict[str, Any]) -> dict[str, Any]:
        last = state.setdefault("last", asyncio.Event())  # of the worker's loop
        if row["id"] == 49:
            last.set()
        elif row["id"] == 0:
            await last.wait()
        return row

    async def batches(batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for _ in range(2):
            await asyncio.sleep(0)
            yield batch

    assert ids(ray.data.range(50, override_num_blocks=1).map(first_is_last)) == list(range(50))
    assert ids(ray.data.range(2, override_num_blocks=1).map_batches(batches)) == [0, 1, 0, 1]


async def plus_one(batch: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"id": batch["id"] + 1}


async def each_twice(batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for _ in range(2):
        await asyncio.sleep(0)
        yield {"id": batch["id"]}


async def row_plus_one(row: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"id": row["id"] + 1}


def plus_one_in_a_loop(batch: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(plus_one(batch))


class PlusOne:
    """An instance whose calls share what is bound to one loop."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        async with self.lock:
            return await plus_one(batch)


class EachTwice:
    """An instance whose calls are async generators."""

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async for made in each_twice(batch):
            yield made


#: Names of steps, with what each does to a dataset and to a list of numbers.
ASYNC_STEPS: dict[str, tuple[Callable[[Any], Any], Callable[[list[int]], list[int]]]] = {
    "function": (lambda ds: ds.map_batches(plus_one, batch_size=3), lambda ids: [n + 1 for n in ids]),
    "generator": (lambda ds: ds.map_batches(each_twice, batch_size=1), lambda ids: [n for n in ids for _ in range(2)]),
    "rows": (lambda ds: ds.map(row_plus_one), lambda ids: [n + 1 for n in ids]),
    "own loop": (lambda ds: ds.map_batches(plus_one_in_a_loop, batch_size=3), lambda ids: [n + 1 for n in ids]),
    "class": (
        lambda ds: ds.map_batches(PlusOne, batch_size=3, compute=ActorPoolStrategy(size=1)),
        lambda ids: [n + 1 for n in ids],
    ),
    "class of generators": (
        lambda ds: ds.map_batches(EachTwice, batch_size=1, compute=ActorPoolStrategy(size=1)),
        lambda ids: [n for n in ids for _ in range(2)],
    ),
}


@pytest.mark.parametrize("first", ASYNC_STEPS)
@pytest.mark.parametrize("second", ASYNC_STEPS)
def test_async_functions_in_one_chain(first: str, second: str) -> None:
    (one, one_of), (other, other_of) = ASYNC_STEPS[first], ASYNC_STEPS[second]
    dataset = other(one(ray.data.range(12, override_num_blocks=1)))
    assert ids(dataset) == other_of(one_of(list(range(12))))


def test_an_async_function_that_fails_behind_another_one() -> None:
    async def failing(batch: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(int(batch["id"][0]))

    dataset = ray.data.range(6, override_num_blocks=1).map_batches(plus_one, batch_size=2)
    with pytest.raises(KeyError, match="1"):
        dataset.map_batches(failing, batch_size=2).take_all()


def test_classes_run_in_pools_of_actors() -> None:
    options: dict[str, Any] = {"fn_constructor_args": (5,), "fn_constructor_kwargs": {"factor": 2}}
    rows = ray.data.range(40, override_num_blocks=20).map_batches(Adder, concurrency=2, **options).take_all()
    assert [row["id"] for row in rows] == list(range(10, 50)) and 1 <= len({row["pid"] for row in rows}) <= 2
    pool = ActorPoolStrategy(min_size=1, max_size=2)
    assert ray.data.range(3).map_batches(Adder, compute=pool, **options).count() == 3
    assert ids(ray.data.range(3).map_batches(Adder(1))) == [1, 2, 3]
    assert ids(ray.data.range(1).map_batches(Adder, concurrency=2, fn_constructor_args=(0,)).materialize()) == [0]


def test_groups_are_mapped_whole_and_in_order() -> None:
    dataset = ray.data.range(20, override_num_blocks=5).map(lambda row: {"g": row["id"] % 3, "id": row["id"]})
    found = dataset.groupby("g").map_groups(lambda frame: pd.DataFrame({"g": frame["g"][:1], "n": [len(frame)]}))
    assert found.take_all() == [{"g": 0, "n": 7}, {"g": 1, "n": 7}, {"g": 2, "n": 6}]
    assert dataset.groupby("g").sum("id").take_all()[0] == {"g": 0, "sum(id)": 63}


def test_schemas_of_blocks_are_put_together() -> None:
    mixed = ray.data.range(2, override_num_blocks=2).map(lambda row: {"v": row["id"] + 0.5 if row["id"] else 1})
    assert [type(row["v"]) for row in mixed.take_all()] == [float, float]
    assert mixed.to_pandas()["v"].tolist() == [1.0, 1.5]


class OddError(Exception):
    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"{words} ({code})")


def test_errors_keep_the_users_type_and_name_the_stage() -> None:
    def fail(row: dict[str, Any]) -> dict[str, Any]:
        raise OddError(7, "bad row")

    with pytest.raises(OddError, match=r"bad row \(7\)") as caught:
        ray.data.range(10).map(fail).take_all()
    assert isinstance(caught.value, RayDataUserCodeException) and isinstance(caught.value, ray.exceptions.RayTaskError)
    assert "Map(fail)" in str(caught.value) and "in fail" in str(caught.value)

    class Broken:
        def __init__(self) -> None:
            raise KeyError("no model")

        def __call__(self, batch: Any) -> Any:
            return batch

    with pytest.raises(KeyError, match="no model"):
        ray.data.range(3).map_batches(Broken).take_all()


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration, GeneratorExit])
@pytest.mark.parametrize(
    "method", ["map", "filter", "flat_map", "map_batches", "generator", "class", "async", "groups"]
)
def test_signals_of_the_end_are_errors(kind: type[BaseException], method: str) -> None:
    def fail(value: Any) -> Any:
        raise kind

    def generate(batch: Any) -> Iterator[Any]:
        yield batch
        raise kind

    class Failing:
        def __call__(self, batch: Any) -> Any:
            raise kind

    async def fail_later(row: Any) -> Any:
        raise kind

    numbers = ray.data.range(20)
    dataset: Any = {
        "map": lambda: numbers.map(fail),
        "filter": lambda: numbers.filter(fail),
        "flat_map": lambda: numbers.flat_map(fail),
        "map_batches": lambda: numbers.map_batches(fail),
        "generator": lambda: numbers.map_batches(generate),
        "class": lambda: numbers.map_batches(Failing),
        "async": lambda: numbers.map(fail_later),
        "groups": lambda: numbers.groupby("id").map_groups(fail),
    }[method]()
    with pytest.raises(RuntimeError, match=r"StopIteration|StopAsyncIteration|GeneratorExit|coroutine"):
        dataset.take_all()


@pytest.mark.parametrize("result", [5, [1], None])
def test_rows_must_be_dicts(result: Any) -> None:
    with pytest.raises(ValueError, match="must return a dict for each row"):
        ray.data.range(3).map(lambda row: result).take_all()


def test_flat_map_must_give_rows() -> None:
    with pytest.raises(ValueError, match="must return a list of dicts"):
        ray.data.range(3).flat_map(lambda row: row).take_all()
    with pytest.raises(ValueError, match="wrap it in a dict"):
        ray.data.range(3).flat_map(lambda row: [1]).take_all()


def test_failed_blocks_are_passed_over_if_that_is_allowed() -> None:
    def fail(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == 3:
            raise ValueError("three")
        return row

    dataset = ray.data.range(10, override_num_blocks=10).map(fail)
    dataset.context.max_errored_blocks = 1
    assert ids(dataset) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("end", ["os._exit(1)", "sys.exit(0)"])
def test_deaths_of_actors(end: str) -> None:
    class Deadly:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            if 50 in batch["id"]:
                exec(f"import os, sys; {end}")
            return batch

    dataset = ray.data.range(100, override_num_blocks=20).map_batches(Deadly, concurrency=2)
    dataset.context.max_errored_blocks = -1
    assert ids(dataset) == [i for i in range(100) if i not in range(50, 55)]
    strict = ray.data.range(100, override_num_blocks=20).map_batches(Deadly, concurrency=2)
    with pytest.raises((ray.exceptions.RayActorError, SystemExit, ray.exceptions.RayTaskError)):
        strict.take_all()


def test_when_every_block_is_deadly_the_run_ends() -> None:
    class Deadly:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            os._exit(1)

    dataset = ray.data.range(4, override_num_blocks=2).map_batches(Deadly, concurrency=2)
    dataset.context.max_errored_blocks = -1
    assert ids(dataset) == []
    strict = ray.data.range(4, override_num_blocks=2).map_batches(Deadly, concurrency=2)
    with pytest.raises(ray.exceptions.RayActorError, match=r"MapBatches\(Deadly\)|exit code 1"):
        strict.take_all()


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    def die_once(row: dict[str, Any]) -> dict[str, Any]:
        mark = tmp_path / f"{row['id']}"
        if row["id"] % 10 == 0 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), 9)
        return row

    out = tmp_path / "out"
    dataset = ray.data.range(30, override_num_blocks=3).map(die_once)
    dataset.write_parquet(out)
    assert sorted(ids(ray.data.read_parquet(out))) == list(range(30)) and len(list(out.iterdir())) == 3


def test_a_function_that_raises_before_a_write_leaves_nothing(tmp_path: Path) -> None:
    ray.data.range(3).write_parquet(tmp_path / "d")
    before = sorted(os.listdir(tmp_path / "d"))

    def fail(row: dict[str, Any]) -> dict[str, Any]:
        if row["id"] == 15:
            raise ValueError("fifteen")
        return row

    for mode in ("append", "overwrite"):
        with pytest.raises(ValueError, match="fifteen"):
            ray.data.range(20, override_num_blocks=4).map(fail).write_parquet(tmp_path / "d", mode=mode)
    assert sorted(os.listdir(tmp_path / "d")) == before


def test_the_written_plan_is_run_once(tmp_path: Path) -> None:
    def note(row: dict[str, Any]) -> dict[str, Any]:
        with open(tmp_path / "calls", "a") as file:
            file.write("x")
        return row

    dataset = ray.data.range(6).map(note)
    dataset.write_parquet(tmp_path / "out")
    assert dataset.count() == 6 and (tmp_path / "calls").read_text() == "x" * 6


def test_a_loop_that_is_left_early_leaves_nothing_behind(wait_until: Any) -> None:
    class Slow:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            time.sleep(0.05)
            return batch

    def loop() -> None:
        for _ in ray.data.range(1000, override_num_blocks=200).map_batches(Slow, concurrency=2).iter_batches():
            break

    for _ in range(3):
        loop()
    assert ray.data.range(4).map(lambda row: row).count() == 4
    wait_until(lambda: ray.available_resources().get("CPU") == 2)


def test_a_consumer_that_pauses_stops_the_stages_before_it(tmp_path: Path) -> None:
    def grow(row: dict[str, Any]) -> dict[str, Any]:
        with open(tmp_path / "calls", "a") as file:
            file.write("x")
        return {"id": row["id"], "data": np.zeros(1 << 17)}

    dataset = ray.data.range(300, override_num_blocks=300).map(grow)
    dataset.context.execution_options.resource_limits.object_store_memory = 20 << 20
    rows = dataset.iter_rows()
    found = [next(rows)["id"] for _ in range(3)]
    size = -1
    while size != (size := (tmp_path / "calls").stat().st_size):
        time.sleep(0.3)
    assert size <= 20 + 3 + 6
    assert found + [row["id"] for row in rows] == list(range(300))


def test_datasets_inside_of_tasks_that_hold_all_cpus() -> None:
    @ray.remote
    def count() -> int:
        return ray.data.range(100, override_num_blocks=10).map(lambda row: row).count()

    assert ray.get([count.remote() for _ in range(4)], timeout=60) == [100] * 4


async def test_datasets_are_consumed_by_coroutines() -> None:
    dataset = ray.data.range(20, override_num_blocks=5).map(lambda row: {"id": row["id"] + 1})
    assert [row["id"] async for row in dataset] == list(range(1, 21))
    async for row in dataset:
        assert row == {"id": 1}
        break


def test_shuffles_sorts_and_groups_by_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"a": int(a), "b": float(b), "n": n}
        for n, (a, b) in enumerate(zip(rng.integers(0, 9, 3000), rng.random(3000), strict=True))
    ]
    whole = ray.data.from_items(rows, override_num_blocks=6)
    expected = {
        "sort": whole.sort(["a", "b"], descending=[True, False]).take_all(),
        "group": whole.groupby("a").mean("b").take_all(),
        "shuffle": whole.random_shuffle(seed=5).take_all(),
        "mapped": whole.map(lambda row: row).groupby("a").map_groups(lambda f: f.head(1)).take_all(),
    }
    monkeypatch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", 8000)
    cut = whole.map(lambda row: row)
    assert cut.sort(["a", "b"], descending=[True, False]).take_all() == expected["sort"]
    assert [row["a"] for row in cut.groupby("a").mean("b").take_all()] == list(range(9))
    for got, want in zip(cut.groupby("a").mean("b").take_all(), expected["group"], strict=True):
        assert got["mean(b)"] == pytest.approx(want["mean(b)"])
    assert cut.random_shuffle(seed=5).take_all() == expected["shuffle"]
    assert cut.groupby("a").map_groups(lambda f: f.head(1)).take_all() == expected["mapped"]


def test_errors_of_a_run_have_no_context_of_its_loop() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        ray.data.range(1).map(lambda row: {"x": 1 // row["id"]}).take_all()
    found: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        found.append(error)
        error = error.__cause__ or error.__context__
    assert not any("event loop" in str(each) for each in found)


def test_numbers_of_blocks_are_whole_numbers() -> None:
    wrong: Any
    for wrong in ("3", 2.5):
        with pytest.raises(TypeError, match="whole numbers"):
            ray.data.range(1).repartition(wrong)


class Echo:
    """Keeps a connection from its first row on."""

    def __init__(self) -> None:
        self.streams: Any = None

    async def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if self.streams is None:
            one, self.other = socket.socketpair()
            self.streams = await asyncio.open_connection(sock=one)
        reader, _ = self.streams
        self.other.sendall(b"%d\n" % row["id"])
        return {"id": int(await reader.readline())}


def test_what_an_instance_keeps_serves_all_its_calls() -> None:
    numbers = ray.data.range(6, override_num_blocks=6)
    assert ids(numbers.map(Echo, compute=ActorPoolStrategy(size=1, max_concurrent_calls_per_actor=1))) == list(range(6))


def test_options_that_tasks_or_actors_do_not_have_are_refused_at_once() -> None:
    class Same:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return batch

    dataset = ray.data.range(3)
    with pytest.raises(ValueError, match=r"num_cpu .*Did you mean 'num_cpus'"):
        dataset.map(lambda row: row, num_cpu=1)
    with pytest.raises(ValueError, match="batchsize"):
        dataset.map_batches(lambda batch: batch, batchsize=1)
    with pytest.raises(ValueError, match="num_gpu"):
        dataset.map_batches(Same, concurrency=1, num_gpu=1)
    with pytest.raises(TypeError, match="num_cpus"):
        dataset.filter(lambda row: True, num_cpus="x")


@pytest.mark.parametrize("pool", [False, True])
def test_what_cannot_be_started_fails_the_run(pool: bool) -> None:
    class Same:
        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            return batch

    options: dict[str, Any] = {"ray_remote_args_fn": lambda: {"num_cpu": 1}}
    if pool:
        options["concurrency"] = 1
    stage = Same if pool else (lambda batch: batch)
    first = ray.data.range(30, override_num_blocks=3).map(lambda row: row, num_cpus=1)
    with pytest.raises(ValueError, match="num_cpu "):
        first.map_batches(stage, **options).take_all()
    assert ids(first) == list(range(30))
