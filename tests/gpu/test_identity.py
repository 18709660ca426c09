"""Neither an address nor a handle says which memory it is."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from ray_async.gpu.fake import memory
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")
STEPS = 1_500


def test_the_same_address_again_is_other_memory(wait_until: Callable[..., None]) -> None:
    actor, addresses = Holder.remote(), set()
    for n in range(1, 20):
        mine = fake.array(np.full(n, float(n)))
        addresses.add(mine.pointer)
        assert ray.get(actor.values_of.remote(mine)).tolist() == [n] * n
        del mine
        wait_until(all_free)
    assert len(addresses) == 1
    counts = ray.get(actor.counts.remote())
    assert counts["open_base"] == counts["close_base"] == 19


def test_two_arrays_of_one_pool_have_one_handle_and_one_mapping() -> None:
    pool, actor = fake.FakePool(), Holder.remote()
    first, second = fake.array([1.0], pool=pool), fake.array([2.0], pool=pool)
    assert first.pointer != second.pointer
    ray.get([actor.take.remote("1", first), actor.take.remote("2", second)])
    assert [ray.get(actor.read.remote(name)).tolist() for name in "12"] == [[1], [2]]
    assert ray.get(actor.counts.remote())["open_base"] == 1


def test_a_generation_that_is_gone_is_an_error_and_no_data() -> None:
    """Memory that its owner has freed although others refer to it: the same address holds something else."""
    actor = Holder.remote()
    mine = fake.array([1.0, 2.0])
    ref = ray.put(mine)
    memory.free_at(mine.pointer)
    again = fake.array([3.0, 4.0])
    assert again.pointer == mine.pointer
    with pytest.raises(ray.exceptions.DeviceMemoryLostError, match="memory on the GPU is gone"):
        ray.get(actor.sum_of.remote(ref))
    assert ray.get(actor.sum_of.remote(again)) == 7


def test_random_steps_agree_with_a_model(dice: random.Random, wait_until: Callable[..., None]) -> None:
    """Allocate, free, slice, write and hand over, with a pool and without."""
    actors, pool = [Holder.remote() for _ in range(2)], fake.FakePool(1 << 12)
    mine: dict[str, Any] = {}
    there: list[dict[str, Any]] = [{}, {}]
    model: dict[str, Any] = {}
    for n in range(STEPS):
        step, name = dice.randrange(6), str(dice.randrange(8))
        which = dice.randrange(2)
        if step in (0, 1):
            fake.current_stream().synchronize()  # a program frees nothing that its own kernels still use
        if step == 0 or name not in mine:
            values = np.arange(dice.randrange(1, 200), dtype=np.float64) + n
            mine[name] = fake.array(values, pool=pool if dice.random() < 0.5 else None)
            model[name] = values
        elif step == 1:
            del mine[name], model[name]
        elif step == 2:
            start = dice.randrange(len(model[name]))
            mine[name], model[name] = mine[name][start:], model[name][start:]
        elif step == 3:
            mine[name].fill(n)
            model[name][...] = n
        elif step == 4:
            # What is there shares the memory, and the model's array with it.
            ray.get(actors[which].take.remote(name, mine[name]))
            there[which][name] = model[name]
        elif name in there[which]:
            fake.current_stream().synchronize()
            assert ray.get(actors[which].read.remote(name)).tolist() == there[which][name].tolist()
    for which, actor in enumerate(actors):
        fake.current_stream().synchronize()
        for name, values in there[which].items():
            assert ray.get(actor.read.remote(name)).tolist() == values.tolist()
            ray.get(actor.drop.remote(name))
    mine.clear()
    del pool
    gc.collect()
    wait_until(lambda: all_free(*actors))
