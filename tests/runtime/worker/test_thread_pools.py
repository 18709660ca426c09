"""Native libraries' pools of threads that were loaded before their size was known."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ray_async.runtime.worker.thread_pools import ThreadPools
from tests.blas import n_threads, path_of_blas


@pytest.fixture
def before() -> Iterator[int]:
    before = n_threads()
    yield before
    ThreadPools([path_of_blas()], {}).resize(before)


def test_a_pool_has_the_size_that_is_asked_for(before: int) -> None:
    pools = ThreadPools([path_of_blas()], {})
    for size in (1, 2, 1, 10_000):
        pools.resize(size)
        assert n_threads() == min(size, len(os.sched_getaffinity(0)))


def test_what_the_user_has_chosen_stays(before: int) -> None:
    ThreadPools([path_of_blas()], {}).resize(1)
    ThreadPools([path_of_blas()], {"OPENBLAS_NUM_THREADS": "1"}).resize(2)
    assert n_threads() == 1


def test_libraries_that_are_not_loaded_are_passed_over(before: int) -> None:
    ThreadPools(["/nonexistent/libopenblas.so", "/nonexistent/libgomp.so.1"], {}).resize(1)
    assert n_threads() == before
