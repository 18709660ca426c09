"""Libraries that write through the read-only flag change nobody else's objects."""

import ctypes
from typing import Any

import numpy as np
import pytest

import ray_async as ray

SIZES = [1000, 1_000_000]


def write_through(array: Any, value: int) -> None:
    """Write as libraries do that were given an address and no flag."""
    ctypes.memset(array.ctypes.data, value, array.nbytes)


@ray.remote(num_cpus=1)
def add_one(array: Any) -> int:
    write_through(array, int(array[0]) + 1)
    return int(array[0])


@ray.remote
def add_one_got(refs: list[Any]) -> tuple[int, int]:
    return ray.get(add_one.remote(refs[0])), add_one._function(ray.get(refs[0]))


@ray.remote
def make(size: int) -> Any:
    return np.zeros(size, dtype=np.uint8)


@ray.remote(num_returns="streaming")
def make_several(size: int) -> Any:
    for _ in range(3):
        yield np.zeros(size, dtype=np.uint8)


@ray.remote(num_cpus=1)
class Keeper:
    def __init__(self, array: Any) -> None:
        self.array = array

    def add_one(self, array: Any) -> int:
        write_through(array, int(array[0]) + 1)
        write_through(self.array, 77)
        return int(array[0])

    def own(self) -> Any:
        return self.array


@pytest.mark.parametrize("size", SIZES)
def test_tasks_one_after_the_other(size: int) -> None:
    ref = ray.put(np.zeros(size, dtype=np.uint8))
    mine = ray.get(ref)
    one_by_one: list[Any] = [ray.get(add_one.remote(ref)) for _ in range(3)]
    assert one_by_one == [1, 1, 1]
    many: Any = ray.get([add_one.remote(ref) for _ in range(20)])
    assert many == [1] * 20
    nested: Any = ray.get(add_one_got.remote([ref]))
    assert nested == (1, 1)
    assert not mine.any()
    assert not ray.get(ref).any()


@pytest.mark.parametrize("size", SIZES)
def test_results_and_items_of_streams(size: int) -> None:
    for ref in [make.remote(size), *make_several.remote(size)]:
        for _ in range(3):
            found = ray.get(ref)
            assert not found.any()
            write_through(found, 5)
        seen: Any = ray.get(add_one.remote(ref))
        assert seen == 1


@pytest.mark.parametrize("size", SIZES)
def test_actors(size: int) -> None:
    ref = ray.put(np.zeros(size, dtype=np.uint8))
    keeper = Keeper.remote(ref)
    assert ray.get([keeper.add_one.remote(ref) for _ in range(3)]) == [1, 1, 1]
    assert set(ray.get(keeper.own.remote())) == {77}, "what the actor wrote is the actor's, and goes where it sends it"
    assert not ray.get(ref).any()
