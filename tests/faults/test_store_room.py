"""Room in the store: limits count bytes and not places, and what readers keep out of memory goes to disk."""

import ctypes
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.exceptions import ObjectStoreFullError
from tests.faults.session import statistics

MB = 1 << 20


@ray.remote
def answer(array, size):
    assert array[-1] == 1
    return np.full(size, 2, dtype=np.uint8)


@ray.remote
def put_and_tell(size):
    return [ray.put(np.full(size, 3, dtype=np.uint8))], os.getpid()


@ray.remote
def ends(array):
    return int(array[0]), int(array[-1])


def overflow_file():
    return Path(get_session().description["spill_path"]) / "overflow"


@pytest.mark.parametrize("million", [10**6, MB])
def test_an_argument_and_a_result_that_fill_the_store(start, million):
    start(object_store_memory=150 * million)
    for _ in range(3):
        result = ray.get(answer.remote(np.ones(30 * million, dtype=np.uint8), 120 * million), timeout=100)
        assert (result[0], result[-1], len(result)) == (2, 2, 120 * million)
        del result


def test_one_get_of_more_than_the_store_holds(start):
    start(object_store_memory=100 * MB)
    refs = [ray.put(np.full(20 * MB, i, dtype=np.uint8)) for i in range(12)]
    for i, array in enumerate(ray.get(refs, timeout=60)):
        assert (array[0], array[-1], len(array)) == (i, i, 20 * MB)
    first, last = ray.get([refs[0], refs[-1], refs[0]], timeout=60)[:2]
    assert (first[0], last[0]) == (0, 11)


def test_views_that_lie_scattered_keep_no_large_object_out(start, wait_until):
    start(object_store_memory=100 * MB)
    refs = [ray.put(np.full(128 * 1024, i % 256, dtype=np.uint8)) for i in range(500)]
    views = [(i, ray.get(refs[i])) for i in range(3, 500, 36)]
    assert len(views) == 14
    del refs
    for value in range(3):
        large = ray.put(np.full(60 * MB, value, dtype=np.uint8))
        assert ray.get(ends.remote(large), timeout=60) == (value, value)
        del large
        wait_until(lambda: statistics()["used"] < 60 * MB)  # its worker, too, has let go of it: else it is spilled
    facts = statistics()
    assert (facts["spilled"], facts["overflow"]) == (0, 0)
    assert facts["resident"] <= facts["limit"]
    assert all((array == i % 256).all() for i, array in views)


def test_pages_of_what_was_freed_go_back(start, wait_until):
    start(object_store_memory=100 * MB)
    keep = []
    for i in range(12):
        keep.append(ray.get(ray.put(np.full(MB, i, dtype=np.uint8))))
        ray.put(np.full(60 * MB, i, dtype=np.uint8))
        assert statistics()["resident"] <= statistics()["limit"]
    assert [int(array[-1]) for array in keep] == list(range(12))
    blocks = os.stat(f"/proc/self/fd/{get_session().arena.fd}").st_blocks * 512
    assert blocks <= 110 * MB, "the tables come on top"


def test_views_that_fill_the_store(start, wait_until):
    start(object_store_memory=150 * MB)
    views = [ray.get(ray.put(np.full(20 * MB, i, dtype=np.uint8))) for i in range(6)]
    ref = ray.put(np.full(40 * MB, 7, dtype=np.uint8))
    found = ray.get(ref)
    assert (found[0], found[-1], len(found)) == (7, 7, 40 * MB)
    ctypes.memset(found.ctypes.data, 9, found.nbytes)
    assert ray.get(ends.remote(ref), timeout=60) == (7, 7)
    result = ray.get(answer.remote(np.ones(1000, dtype=np.uint8), 50 * MB), timeout=100)
    assert (result[0], result[-1]) == (2, 2)
    assert statistics()["overflow"] >= 90 * MB
    assert overflow_file().stat().st_blocks * 512 >= 90 * MB
    assert [int(view[-1]) for view in views] == list(range(6))
    del ref, found, result
    wait_until(lambda: statistics()["overflow"] == 0)
    assert overflow_file().stat().st_blocks == 0
    views.clear()
    large = ray.put(np.full(140 * MB, 1, dtype=np.uint8))
    assert statistics()["overflow"] == 0, "there is room in memory again"
    del large


def test_what_was_spilled_is_read_while_views_fill_the_store(start):
    start(object_store_memory=100 * MB)
    spilled = [ray.put(np.full(30 * MB, i, dtype=np.uint8)) for i in range(3)]
    views = [ray.get(ray.put(np.full(30 * MB, 10 + i, dtype=np.uint8))) for i in range(3)]
    assert statistics()["spilled"] >= 60 * MB
    for _ in range(2):
        assert [ends_of(ray.get(ref, timeout=60)) for ref in spilled] == [(0, 0), (1, 1), (2, 2)]
    assert [int(view[-1]) for view in views] == [10, 11, 12]


def ends_of(array):
    return int(array[0]), int(array[-1])


def test_the_disk_has_a_budget(start):
    start(object_store_memory=80 * MB, _system_config={"spill_budget_bytes": 50 * MB})
    views = [ray.get(ray.put(np.full(35 * MB, i, dtype=np.uint8))) for i in range(2)]
    views.append(ray.get(ray.put(np.full(40 * MB, 2, dtype=np.uint8))))
    assert statistics()["overflow"] == 40 * MB + 65536
    with pytest.raises(ObjectStoreFullError, match="arrays and other views look into"):
        ray.put(np.zeros(20 * MB, dtype=np.uint8))
    assert [int(view[-1]) for view in views] == [0, 1, 2]


def test_without_spilling_there_is_no_file(start):
    start(object_store_memory=80 * MB, _system_config={"automatic_object_spilling_enabled": False})
    assert not overflow_file().exists()
    views = [ray.get(ray.put(np.zeros(35 * MB, dtype=np.uint8))) for _ in range(2)]
    with pytest.raises(ObjectStoreFullError, match="no room for"):
        ray.put(np.zeros(20 * MB, dtype=np.uint8))
    del views


def test_objects_in_the_file_outlive_who_put_them(start, wait_until):
    start(object_store_memory=80 * MB)
    views = [ray.get(ray.put(np.zeros(35 * MB, dtype=np.uint8))) for _ in range(2)]
    (ref,), pid = ray.get(put_and_tell.remote(30 * MB), timeout=100)
    assert statistics()["overflow"] > 0
    os.kill(pid, signal.SIGKILL)
    assert ray.get(ends.remote(ref), timeout=100) == (3, 3)
    assert ends_of(ray.get(ref)) == (3, 3)
    del ref
    wait_until(lambda: statistics()["overflow"] == 0)
    del views
