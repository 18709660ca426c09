"""The store filled, refilled, spilled and overfilled."""

import ctypes
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.exceptions import ObjectStoreFullError, OutOfDiskError
from tests.faults.session import SEED, node_pid, statistics

MB = 1 << 20


@ray.remote
def make(n, value):
    return np.full(n, value, dtype=np.uint8)


@ray.remote
def check(array):
    return int(array[0]), int(array[-1]), len(array)


def used():
    return statistics()["used"]


def test_memory_comes_back_round_after_round(start, wait_until):
    start(object_store_memory=150 * MB)
    sizes = random.Random(SEED)

    def fill(round_number):
        refs = [ray.put(np.full(sizes.choice([300, 70_000, 3 * MB]), round_number, dtype=np.uint8)) for _ in range(20)]
        refs += [make.remote(2 * MB, round_number) for _ in range(5)]
        assert all(int(array[-1]) == round_number for array in ray.get(refs, timeout=60))

    for i in range(3):
        fill(i)
    wait_until(lambda: used() < 20 * MB)
    before = used()
    for i in range(40):
        fill(i)
    wait_until(lambda: used() <= before + 2 * MB)
    assert statistics()["spilled"] == 0, "the store never had to hold more than a round"


def test_spilled_objects_come_back_whole(start):
    start(object_store_memory=80 * MB)
    choice = random.Random(SEED)
    arrays = [np.frombuffer(choice.randbytes(3 * MB + i), dtype=np.uint8) for i in range(60)]
    refs = [ray.put(array) for array in arrays]
    order = list(range(60))
    choice.shuffle(order)
    for i in order:
        assert np.array_equal(ray.get(refs[i], timeout=60), arrays[i])
    facts = statistics()
    assert facts["spilled"] > 100 * MB
    assert facts["restored"] > 50 * MB
    results = ray.get([check.remote(refs[i]) for i in order], timeout=100)
    assert results == [(int(arrays[i][0]), int(arrays[i][-1]), len(arrays[i])) for i in order]


def test_what_readers_write_is_not_what_comes_back_from_disk(start):
    start(object_store_memory=80 * MB)
    refs = [ray.put(np.full(20 * MB, value, dtype=np.uint8)) for value in range(8)]
    for _ in range(3):
        for value, ref in enumerate(refs):
            found = ray.get(ref, timeout=60)
            assert (found[0], found[-1]) == (value, value)
            ctypes.memset(found.ctypes.data, 200, found.nbytes)  # as libraries do that know of no read-only memory
            del found
    assert statistics()["restored"] > 200 * MB
    assert ray.get([check.remote(ref) for ref in refs], timeout=100) == [(i, i, 20 * MB) for i in range(8)]


def test_results_of_tasks_spill_too(start):
    start(object_store_memory=80 * MB)
    refs = [make.remote(4 * MB, i) for i in range(40)]
    assert ray.get([check.remote(ref) for ref in refs], timeout=100) == [(i, i, 4 * MB) for i in range(40)]


def test_spill_files_go_with_their_objects(start, tmp_path, wait_until):
    start(object_store_memory=80 * MB, object_spilling_directory=str(tmp_path))
    refs = [ray.put(np.full(5 * MB, i, dtype=np.uint8)) for i in range(40)]

    def files():
        return [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_blocks]

    assert len(files()) >= 20
    del refs
    ray.get(ray.put(1))
    wait_until(lambda: not files())


def test_an_object_larger_than_the_store(start):
    start(object_store_memory=80 * MB)
    with pytest.raises(ObjectStoreFullError, match="does not fit into an object store of"):
        ray.put(np.zeros(100 * MB, dtype=np.uint8))
    with pytest.raises(ObjectStoreFullError, match="does not fit into an object store of"):
        ray.get(make.remote(100 * MB, 1), timeout=60)
    with pytest.raises(ObjectStoreFullError, match="does not fit into an object store of"):
        check.remote(np.zeros(100 * MB, dtype=np.uint8))
    assert ray.get(check.remote(ray.put(np.ones(10 * MB, dtype=np.uint8))), timeout=60) == (1, 1, 10 * MB)


def test_a_store_full_of_what_is_looked_at(start):
    start(object_store_memory=80 * MB, _system_config={"automatic_object_spilling_enabled": False})
    views = []
    with pytest.raises(ObjectStoreFullError, match=r"no room for.* is taken by objects that arrays and .* look into"):
        while True:
            views.append(ray.get(ray.put(np.full(8 * MB, len(views), dtype=np.uint8))))
    assert len(views) >= 8
    assert [int(view[-1]) for view in views] == list(range(len(views)))
    views.clear()
    assert ray.get(ray.put(np.ones(40 * MB, dtype=np.uint8)))[-1] == 1


def test_a_store_that_was_full_before_is_spilled_as_any_other(start):
    start(object_store_memory=80 * MB, _system_config={"spill_budget_bytes": 100 * MB})
    views = []
    with pytest.raises(ObjectStoreFullError, match=r"no room for"):
        while True:
            views.append(ray.get(ray.put(np.full(8 * MB, len(views), dtype=np.uint8))))
    assert 18 <= len(views) <= 22, "the disk takes what readers keep out of memory"
    views.clear()
    # What the node found before, nothing to spill, is no answer to those who ask now.
    for round_number in range(5):
        refs = [ray.put(np.full(8 * MB, i, dtype=np.uint8)) for i in range(8)]
        large = ray.put(np.full(70 * MB, round_number, dtype=np.uint8))
        assert int(ray.get(large)[-1]) == round_number
        assert [int(ray.get(ref, timeout=60)[0]) for ref in refs] == list(range(8))
        del large, refs


@pytest.mark.parametrize("automatic", [True, False])
def test_a_full_disk(start, automatic):
    budget = {"spill_budget_bytes": 30 * MB} if automatic else {"automatic_object_spilling_enabled": False}
    start(object_store_memory=80 * MB, _system_config=budget)
    refs = []
    with pytest.raises((ObjectStoreFullError, OutOfDiskError), match="no room for"):
        while True:
            refs.append(ray.put(np.full(6 * MB, len(refs), dtype=np.uint8)))
    assert len(refs) >= 10
    if automatic:
        assert 0 < statistics()["spilled"] <= 30 * MB
    # Nothing is lost, and with some of it gone there is room again.
    for i in (0, len(refs) // 2, len(refs) - 1):
        assert int(ray.get(refs[i], timeout=60)[0]) == i
    del refs[: len(refs) // 2]
    assert ray.get(make.remote(6 * MB, 7), timeout=60)[0] == 7


def test_a_spill_directory_that_cannot_be_written(start, tmp_path, caplog, wait_until):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    start(object_store_memory=80 * MB, object_spilling_directory=str(blocked))
    refs = []
    with pytest.raises(ObjectStoreFullError, match="no room for"):
        while True:
            refs.append(ray.put(np.full(6 * MB, len(refs), dtype=np.uint8)))
    wait_until(lambda: "cannot be spilled" in caplog.text)
    assert [int(ray.get(ref)[0]) for ref in refs] == list(range(len(refs)))


def test_a_lost_spill_file(start, tmp_path):
    start(object_store_memory=80 * MB, object_spilling_directory=str(tmp_path))
    made = [make.remote(6 * MB, i) for i in range(12)]
    ray.wait(made, num_returns=12, timeout=60)
    put = [ray.put(np.full(6 * MB, i, dtype=np.uint8)) for i in range(12)]
    assert statistics()["spilled"] > 0
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name.isdigit():
            path.unlink()
    assert [int(ray.get(ref, timeout=60)[0]) for ref in made] == list(range(12)), "tasks are run again"
    outcomes = []
    for i, ref in enumerate(put):
        try:
            outcomes.append(int(ray.get(ref, timeout=60)[0]) == i)
        except ray.exceptions.ObjectLostError:
            outcomes.append(True)
    assert all(outcomes)


def test_a_deep_queue_is_drained(start):
    start(object_store_memory=400 * MB)

    @ray.remote
    def nothing():
        return None

    refs = [nothing.remote() for _ in range(150_000)]
    assert used() < 200 * MB
    ready, _ = ray.wait(refs, num_returns=len(refs), timeout=100)
    assert len(ready) == len(refs)


@ray.remote(num_cpus=0)
class Actor:
    def number(self):
        return 7


def test_the_node_answers_while_a_disk_is_slow(start, wait_until):
    start(object_store_memory=80 * MB)
    fifo = Path(get_session().description["spill_path"]) / "1"
    fifo.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(fifo)  # the first object that is spilled waits until somebody reads here
    tasks = Path(f"/proc/{node_pid()}/task")
    before = len(list(tasks.iterdir()))
    refs = []
    fill = threading.Thread(target=lambda: refs.extend(ray.put(np.zeros(20 * MB, np.uint8)) for _ in range(5)))
    fill.start()
    wait_until(lambda: len(list(tasks.iterdir())) > before)
    assert ray.get(Actor.remote().number.remote(), timeout=60) == 7
    assert fill.is_alive()
    with open(fifo, "rb") as file:
        assert len(file.read()) > 20 * MB
    fill.join(60)
    assert not fill.is_alive()
    assert len(ray.get(refs[-1], timeout=60)) == 20 * MB


def test_available_resources_tell_what_the_store_has_free(start, wait_until):
    def free():
        return ray.available_resources()["object_store_memory"]

    start(num_cpus=1, object_store_memory=200 << 20)
    total = ray.cluster_resources()["object_store_memory"]
    assert free() == total == 200 << 20
    ref = ray.put(bytes(50 << 20))
    assert free() == 150 << 20
    del ref
    wait_until(lambda: free() == total)
