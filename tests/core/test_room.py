"""Places for many times the limit, pages for no more than that, and the file for what finds no room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_async._core import store
from ray_async._core.arena import OVERFLOW, Arena, ArenaFullError
from ray_async._core.node_view import NodeView
from ray_async._core.object_view import holders
from tests.core.conftest import joined
from tests.core.session import Bench

MEBIBYTE = 1 << 20
CHUNK = 65536
LIMIT = 8 * MEBIBYTE

SMALL_SPACE = """
import resource, sys
from ray_async._core.arena import Arena
from ray_async._core.node_view import NodeView
limit = 64 << 20
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2 * limit, resource.RLIM_INFINITY))
arena = Arena.create(limit, sys.argv[1])
print(arena.limit == limit, limit < arena.size < 2 * limit)
"""


def fill(value: int, size: int) -> Any:
    return np.full(size, value, dtype=np.uint8)


def blocks(descriptor: int) -> int:
    return os.fstat(descriptor).st_blocks * 512


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Arena]:
    """An arena of 8 MiB without a file behind it."""
    yield from joined(LIMIT, tmp_path)


@pytest.fixture
def overflowing(tmp_path: Path) -> Iterator[Arena]:
    """An arena of 8 MiB, with a file of 32 MiB behind it."""
    file = tmp_path / "elsewhere"
    file.touch()
    os.truncate(file, 4 * LIMIT)
    (tmp_path / OVERFLOW).symlink_to(file)
    yield from joined(LIMIT, tmp_path)


def test_limits_count_bytes_and_not_places(places: Arena) -> None:
    kept = []
    for value in range(8):  # each time a view stays behind, in the middle of what the large one needed
        ref, large = store.put(places, fill(value, 2 * CHUNK)), store.put(places, fill(100, 5 * MEBIBYTE))
        kept.append(store.get_one(places, ref))
        assert store.get_one(places, large)[-1] == 100
        del ref, large
    assert places.resident <= LIMIT
    assert blocks(places.fd) <= LIMIT + MEBIBYTE
    with pytest.raises(ArenaFullError):
        store.put(places, fill(0, 7 * MEBIBYTE))
    assert [int(array[-1]) for array in kept] == list(range(8))


def test_memory_that_was_given_back_is_used_again(places: Arena) -> None:
    for value in range(1, 60):
        size = (1 + value % 5) * MEBIBYTE
        ref = store.put(places, fill(value, size))
        array = store.get_one(places, ref)
        assert (array == value).all()
        small = [store.put(places, fill(value, 100 * (1 + i % 40))) for i in range(100)]
        assert all((store.get_one(places, each) == value).all() for each in small)
        assert places.resident <= LIMIT
        del ref, array, small


def test_what_finds_no_room_lies_in_the_file(overflowing: Arena) -> None:
    kept = [store.get_one(overflowing, store.put(overflowing, fill(i, 2 * MEBIBYTE))) for i in range(10)]
    assert overflowing.overflow > 12 * MEBIBYTE
    assert [int(array[0]) for array in kept] == [int(array[-1]) for array in kept] == list(range(10))
    file = overflowing.directory + "/" + OVERFLOW
    assert os.stat(file).st_blocks * 512 >= overflowing.overflow
    taken = holders(overflowing)
    assert 5 * MEBIBYTE < taken["viewed"] <= LIMIT, "what lies in the file takes no memory"
    kept.clear()
    assert overflowing.overflow == 0
    assert os.stat(file).st_blocks == 0


def test_the_file_has_an_end_and_a_budget(overflowing: Arena) -> None:
    kept: list[Any] = []
    with pytest.raises(ArenaFullError):
        while True:
            kept.append(store.put(overflowing, fill(len(kept), 3 * MEBIBYTE)))
    assert 12 <= len(kept) <= 13
    kept.clear()
    overflowing.limit_disk(10 * MEBIBYTE, 1.0)
    with pytest.raises(ArenaFullError):
        while True:
            kept.append(store.put(overflowing, fill(len(kept), 3 * MEBIBYTE)))
    assert 10 * MEBIBYTE - 3 * MEBIBYTE < overflowing.overflow <= 10 * MEBIBYTE
    assert [int(store.get_one(overflowing, ref)[-1]) for ref in kept] == list(range(len(kept)))
    kept.clear()
    overflowing.limit_disk(0, 0.0)  # all of the disk is to stay free
    with pytest.raises(ArenaFullError):
        kept.extend(store.put(overflowing, fill(0, 3 * MEBIBYTE)) for _ in range(3))
    assert overflowing.overflow == 0


def test_results_and_arguments_in_the_file(overflowing: Arena) -> None:
    bench = Bench(overflowing)
    kept = [store.get_one(overflowing, store.put(overflowing, fill(i, 3 * MEBIBYTE))) for i in range(2)]
    double = bench.template(lambda array: array * 2)
    results = [double((fill(i, 3 * MEBIBYTE),)) for i in range(3)]
    bench.run_all()
    assert [int(store.get_one(overflowing, ref)[-1]) for ref in results] == [0, 2, 4]
    del results, kept


def test_the_counts_are_mended(overflowing: Arena) -> None:
    kept = [store.put(overflowing, fill(i, 3 * MEBIBYTE)) for i in range(4)]
    node = NodeView(overflowing, 0)  # now, since puts wait for a node to make room
    before = overflowing.used, overflowing.resident, overflowing.overflow
    assert not node.mend_used()
    assert not node.mend_used()
    assert (overflowing.used, overflowing.resident, overflowing.overflow) == before
    del kept


def test_less_address_space_gives_fewer_places(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL_SPACE, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_what_takes_the_room_is_told_by_kind(arena: Arena) -> None:
    values = store.put(arena, fill(1, 2 * MEBIBYTE))
    viewed = store.put(arena, fill(2, 3 * MEBIBYTE))
    view = store.get_one(arena, viewed)
    bench = Bench(arena)
    waiting = [bench.template(lambda array: None)((fill(3, 4 * MEBIBYTE),))]
    few = holders(arena)["queues"]
    call = bench.template(lambda: None)
    waiting += [call(()) for _ in range(2000)]
    taken = holders(arena)
    assert taken["values"] == 2 * MEBIBYTE + CHUNK
    assert taken["viewed"] == 3 * MEBIBYTE + CHUNK
    assert taken["arguments"] == 4 * MEBIBYTE + CHUNK
    assert taken["queues"] > few  # for as many as these, the queue needs a run of its own
    assert taken["small"] > 0
    assert taken["unsealed"] == 0
    assert sum(taken.values()) == arena.used
    bench.run_all()
    del values, view, waiting
