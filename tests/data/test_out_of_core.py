"""Joins and sorts of more than the store holds: the same rows as with plenty of it, and several at a time."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]  # it has no types
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.block.bundle import Piece, RowBundle
from ray_async.data.executor.instructions import BarrierSpec, BarrierStep, BundlesSpec, StageCall, Steps
from ray_async.data.executor.machine import Limits
from ray_async.data.executor.remote import RemoteExecution
from ray_async.data.operators.map_operator import CallOperator, Value
from ray_async.data.plan.physical import PhysicalPlan
from ray_async.util.state import list_objects
from tests.data.sizes import FULL, full

ROWS = full(6_000, 8_000_000)
STORE = full(80, 256) << 20


@pytest.fixture
def small_session() -> Iterator[None]:
    """A node whose store is smaller than the inputs; for each test one, since a store keeps pages that it has had."""
    ray.init(num_cpus=2, object_store_memory=STORE, log_to_driver=False, preload=["pyarrow"])
    yield
    ray.shutdown()


def wide(batch: dict[str, Any]) -> dict[str, Any]:
    """Rows of 128 bytes, with their keys in disorder."""
    ids = batch["id"]
    keys = (ids * 7919) % ROWS
    return {"k": keys, "data": np.repeat(keys[:, None], 14, axis=1), "v": (keys * 31) % 1009}


def table(blocks: int) -> Any:
    return ray.data.range(ROWS, override_num_blocks=blocks).map_batches(wide)


def chain() -> Any:
    names = {"data": "data2", "v": "v2"}
    one, other = table(full(8, 40)), table(full(8, 40)).rename_columns({"k": "k", **names})
    third = ray.data.range(ROWS).rename_columns({"id": "k"})
    return one.join(other, "inner", on=("k",)).join(third, "inner", on=("k",)).sort(["v", "k"])


def checked(dataset: Any) -> tuple[int, int, bool]:
    """Rows, a checksum, and whether they are in order."""
    rows, total, last, ordered = 0, 0, (-1, -1), True
    for batch in dataset.iter_batches(batch_size=None):
        rows += len(batch["k"])
        total += int((batch["k"] * (batch["v2"] + 1) + batch["data"][:, 3] * batch["data2"][:, 5] % 1000).sum())
        pairs = batch["v"] * (ROWS + 1) + batch["k"]
        ordered &= bool((np.diff(pairs) > 0).all()) and (int(batch["v"][0]), int(batch["k"][0])) > last
        last = (int(batch["v"][-1]), int(batch["k"][-1]))
    return rows, total, ordered


def expected() -> tuple[int, int, bool]:
    keys = np.arange(ROWS)
    v = (keys * 31) % 1009
    return ROWS, int((keys * (v + 1) + keys * keys % 1000).sum()), True


@pytest.mark.keeps_resources
@pytest.mark.usefixtures("small_session")
@pytest.mark.timeout(1500)
def test_two_joins_and_a_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    if not FULL:
        little_room(monkeypatch)
    ray.data.range(2, override_num_blocks=2).map(lambda row: row).take_all()
    wanted = expected()
    before = memory()
    with Peak() as peak:
        assert checked(chain()) == wanted
        found: list[Any] = [None, None]

        def run(index: int) -> None:
            found[index] = checked(chain())

        threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [wanted] * 2
    peak.check(before)


@pytest.mark.keeps_resources
@pytest.mark.usefixtures("small_session")
@pytest.mark.timeout(1500)
def test_a_shuffle_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    if not FULL:
        little_room(monkeypatch)
    ray.data.range(2, override_num_blocks=2).map(lambda row: row).take_all()
    counts = np.sort(np.bincount((np.arange(ROWS) * 31) % 1009)).tolist()
    before = memory()
    with Peak() as peak:
        rows, total, in_place = 0, 0, 0
        for batch in table(full(8, 40)).random_shuffle(seed=1).iter_batches(batch_size=None):
            assert (batch["data"][:, 7] == batch["k"]).all()
            in_place += int((np.arange(rows, rows + len(batch["k"])) == batch["k"]).sum())
            rows, total = rows + len(batch["k"]), total + int(batch["k"].sum())
        assert (rows, total) == (ROWS, ROWS * (ROWS - 1) // 2) and in_place < 50
        groups = table(full(8, 40)).groupby("v").map_groups(lambda group: {"n": np.array([len(group["k"])])})
        assert sorted(row["n"] for row in groups.take_all()) == counts
        assert table(full(8, 40)).groupby("k").count().count() == ROWS
    peak.check(before)


@pytest.mark.keeps_resources
@pytest.mark.usefixtures("small_session")
@pytest.mark.parametrize("how", ["shuffle", "sort", "join", "count"])
def test_blocks_leave_the_store_when_their_calls_have_ended(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """What a barrier has read is in files while it goes on, and values of its calls keep nothing in the store."""
    little_room(monkeypatch)
    rows = 12_000
    ids = ray.data.range(rows, override_num_blocks=20)
    source = ids.map_batches(lambda batch: {"k": batch["id"], "data": np.repeat(batch["id"][:, None], 14, axis=1)})
    if how == "join":
        following = source.join(ids.rename_columns({"id": "k"}), "inner", on=("k",))
    else:
        following = {
            "shuffle": lambda: source.random_shuffle(seed=1),
            "sort": lambda: source.sort("k", descending=True),
            "count": lambda: source.groupby("k").count(),
        }[how]()
    batches = iter(following.iter_batches(batch_size=None))
    found = [len(next(batches)["k"])]  # so all of the source has been read
    kept = sum(row["object_size"] for row in list_objects(limit=10_000))
    found += [len(batch["k"]) for batch in batches]
    assert sum(found) == rows
    assert kept < rows * 120 // 4


class Large:
    """A call whose value is so large that it is read in place, in the store."""

    def __call__(self, inputs: Any) -> Iterator[Value]:
        yield Value(np.zeros(1 << 14))


class Keeping:
    """A strategy that needs the values of all its calls, while it needs no block any more."""

    def __init__(self) -> None:
        self.stored = 0

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        calls = [StageCall(Large(), (bundle,)) for bundle in inputs[0]]
        del inputs
        results = yield BarrierStep(calls.pop() for _ in range(len(calls)))
        self.stored = sum(row["object_size"] for row in list_objects(limit=10_000))
        assert sum(len(result.value) for result in results) == 20 << 14
        return ()


@pytest.mark.keeps_resources
@pytest.mark.usefixtures("small_session")
def test_values_that_a_barrier_keeps_do_not_keep_blocks() -> None:
    block = pa.table({"x": np.zeros(1 << 16)})
    bundles = tuple(RowBundle((Piece(ray.put(block), 0, block.num_rows, block.nbytes),)) for _ in range(20))
    strategy, plan = Keeping(), PhysicalPlan()
    plan.add(BundlesSpec("blocks", (), bundles))
    plan.add(BarrierSpec("keeping", (0,), strategy), CallOperator())
    del bundles
    plan.specs[0], specs = BundlesSpec("blocks", (), ()), plan.specs.copy()

    async def run() -> None:
        execution = RemoteExecution(PhysicalPlan(specs, plan.operators, plan.options), Limits())
        specs[0] = plan.specs[0]  # the machine alone has the blocks
        async with execution:
            assert await execution.next() is None

    asyncio.run(run())
    assert 0 < strategy.stored < 5 * block.nbytes


if FULL:  # it takes some gigabytes of memory

    @pytest.mark.keeps_resources
    @pytest.mark.usefixtures("small_session")
    def test_a_row_of_two_gigabytes() -> None:
        size = (2 << 30) + 16
        dataset = ray.data.range(3, override_num_blocks=3)
        whole = dataset.map(lambda row: {"id": row["id"], "x": bytes(size if row["id"] == 1 else 3)})
        with pytest.raises(ray.exceptions.ObjectStoreFullError, match="does not fit into an object store") as caught:
            whole.take_all()
        assert any("Map(" in note for note in caught.value.__notes__)
        assert [len(row["x"]) for row in ray.data.from_items([{"x": bytes(size)}, {"x": b""}]).iter_rows()] == [size, 0]


def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have barriers write files of little data, too."""
    monkeypatch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", 120_000)
    monkeypatch.setattr("ray_async.data.executor.execution.STORE_SHARE", 160_000 / STORE)


def memory() -> int:
    """Bytes of all processes of the session that nobody else can have: their own pages, and the store's, each once.

    Pages of files do not count, mapped or not. A barrier's files are written once and then read: their pages are the
    cache of a disk, of which the kernel keeps what nobody needs more, and the same work is done where it keeps none of
    it. A page of a process's own, or of the store, on the other hand is there until it is given back, in use or not:
    what allocators keep is counted, as are pages of the store that hold nothing at the time.
    """
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(OSError):  # it has ended
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            found = dict(line.split(":", 1) for line in lines if line.startswith("Pss_"))
            total += sum(int(found[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem")) << 10
    return total


class Peak:
    """The most that `memory` shows while it is entered; looked at in the full size alone."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Peak":
        if FULL:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        if FULL:
            self._thread.join()

    def check(self, before: int) -> None:
        """Half as much as the store holds may come to it, beyond what the idle session had."""
        if FULL:
            print(f"peak {(self.bytes - before) >> 20} MiB above the idle session, with {STORE >> 20} MiB of store")
            assert self.bytes - before <= 1.5 * STORE

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            self.bytes = max(self.bytes, memory())
