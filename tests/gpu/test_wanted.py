"""Device arrays read as NumPy arrays: from any process, on any side of the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from tests.gpu.roles import Holder, all_free


@ray.remote
def total(refs: list[Any]) -> Any:
    """The sum of an array on a device, by a process that need not see one."""
    found = ray.get(refs[0], like="numpy")
    assert type(found) is np.ndarray
    return float(found.sum())


@pytest.mark.usefixtures("session")
def test_own_and_others_arrays(wait_until: Callable[..., None]) -> None:
    actor, mine = Holder.remote(), fake.array(np.arange(4.0))
    theirs = actor.make.remote(np.arange(6.0)[::2])
    values = ray.get([ray.put({"a": [mine[1:]]}), theirs, ray.put(np.ones(2)), ray.put("text")], like="numpy")
    assert type(values[0]["a"][0]) is np.ndarray
    assert values[0]["a"][0].tolist() == [1, 2, 3]
    assert values[1].tolist() == [0, 2, 4]
    assert values[2].tolist() == [1, 1]
    assert values[3] == "text"
    assert type(ray.get(theirs)) is fake.FakeArray  # it was for that reading alone
    del mine, theirs
    wait_until(lambda: all_free(actor))


@pytest.mark.usefixtures("session")
def test_an_unknown_library() -> None:
    with pytest.raises(ValueError, match=r"like='jax'\) is not available: give one of 'numpy'"):
        ray.get(ray.put(1), like="jax")


def test_where_no_device_is_seen(start: Callable[..., Any]) -> None:
    start(devices=2)
    blind: Any = total.options(runtime_env={"env_vars": {"CUDA_VISIBLE_DEVICES": ""}})
    actor = Holder.remote()
    ref = actor.make.remote(np.arange(5.0), device=1)
    assert ray.get(blind.remote([ref])) == 10
    assert ray.get(blind.remote([ref])) == 10
    assert ray.get(actor.counts.remote())["copy_to_host"] == 1
