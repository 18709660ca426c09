"""Device arrays between driver, tasks and actors: the same memory on both sides, whatever the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")


@dataclass
class Batch:
    """A container of a program's own."""

    name: str
    parts: dict[str, list[Any]]


@ray.remote
def add(value: Any, amount: float) -> Any:
    value.add(amount)
    fake.current_stream().synchronize()
    return value


def test_a_task_works_on_the_drivers_memory() -> None:
    mine = fake.array(np.arange(6.0))
    back = ray.get(add.remote(mine, 1.0))
    assert back.pointer == mine.pointer
    assert mine.get().tolist() == [1, 2, 3, 4, 5, 6]
    assert "open_base" not in fake.counts()


def test_the_driver_works_on_an_actors_memory() -> None:
    actor = Holder.remote()
    mine = ray.get(actor.make_and_keep.remote("x", np.zeros(4)))
    mine.fill(7)
    fake.current_stream().synchronize()
    assert ray.get(actor.read.remote("x")).tolist() == [7] * 4
    assert fake.counts()["open_base"] == 1


def test_put_and_get_in_one_process_is_the_same_memory() -> None:
    mine = fake.array([1, 2])
    assert ray.get(ray.put(mine)).pointer == mine.pointer


async def test_awaited_results_and_arguments() -> None:
    actor = Holder.remote()
    first, second = await asyncio.gather(actor.make.remote([1.0]), actor.make.remote([2.0]))
    assert await actor.sum_of.remote(first) == 1
    assert await actor.sum_of.remote(value=second) == 2


def test_inside_containers_and_references() -> None:
    actor, other = Holder.remote(), Holder.remote()
    mine = fake.array(np.arange(4.0))

    @ray.remote
    def keep(batch: Batch) -> Batch:
        batch.parts["b"].append(batch.parts["a"][0][1:3])
        return batch

    batch = ray.get(keep.remote(Batch("x", {"a": [mine], "b": []})))
    assert batch.parts["b"][0].pointer == mine.pointer + 8
    ray.get(actor.take.remote("x", {"deep": [mine]}))
    ray.get(other.take_by.remote("x", [ray.put(mine)]))
    mine.fill(3)
    fake.current_stream().synchronize()
    assert ray.get(other.read.remote("x")).tolist() == [3] * 4


def test_a_stream_of_arrays() -> None:
    @ray.remote
    def count(n: int) -> Any:
        for i in range(n):
            yield fake.array([float(i)])

    assert [ray.get(ref).get().tolist() for ref in count.remote(5)] == [[0], [1], [2], [3], [4]]


FORMS: dict[str, Callable[[], fake.FakeArray]] = {
    "0-d": lambda: fake.array(5.0),
    "fortran": lambda: fake.array(np.arange(6.0).reshape(2, 3), order="F"),
    "steps": lambda: fake.array(np.arange(20))[3:17:3],
    "backwards": lambda: fake.array(np.arange(20))[::-2],
    "a column": lambda: fake.array(np.arange(12.0).reshape(3, 4))[:, 1],
    "turned": lambda: fake.array(np.arange(24, dtype=np.int16).reshape(2, 3, 4)).T,
    "complex": lambda: fake.array(np.arange(3) * 1j),
    "half": lambda: fake.array(np.arange(3, dtype=np.float16))[1:],
    "bool": lambda: fake.array([True, False]),
    "records": lambda: fake.array(np.array([(1, 2.5)], dtype=[("n", "i4"), ("x", "f8")])),
    "empty": lambda: fake.array(np.zeros((0, 3), np.float32)),
    "in a pool": lambda: fake.array(np.arange(5), pool=fake.FakePool()),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    mine = FORMS[form]()
    actor = Holder.remote()
    found = ray.get(actor.values_of.remote(mine))
    assert found.dtype == mine.dtype
    assert found.shape == mine.shape
    assert found.tolist() == mine.get().tolist()
    there = ray.get(actor.make_and_keep.remote("x", found))
    assert there.get().tolist() == found.tolist()
    ray.get(actor.take.remote("y", mine))
    if mine.size:
        mine.fill(np.zeros((), mine.dtype))
        fake.current_stream().synchronize()
        assert ray.get(actor.read.remote("y")).tolist() == np.zeros(mine.shape, mine.dtype).tolist()


def test_views_that_overlap_share_one_mapping(wait_until: Callable[..., None]) -> None:
    mine = fake.array(np.arange(10.0))
    actor = Holder.remote()
    ray.get([actor.take.remote(str(n), mine[n : n + 4]) for n in range(6)])
    mine.fill(1)
    fake.current_stream().synchronize()
    assert [ray.get(actor.read.remote(str(n))).tolist() for n in range(6)] == [[1] * 4] * 6
    assert ray.get(actor.counts.remote())["open_base"] == 1
    ray.get([actor.drop.remote(str(n)) for n in range(6)])
    del mine
    wait_until(lambda: all_free(actor))
    assert ray.get(actor.counts.remote())["close_base"] == 1


def test_a_value_that_cannot_be_pickled_keeps_nothing(wait_until: Callable[..., None]) -> None:
    mine = fake.array(np.arange(10.0))
    with pytest.raises(TypeError, match="cannot serialize"):
        ray.put([mine, (n for n in range(3))])
    del mine
    wait_until(all_free)
