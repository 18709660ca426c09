"""Sessions on machines with fake devices."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.gpu import fake


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`start(devices=1, slices=0, peers=True)` begins a session on a machine with such devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        machines: list[Any] = []

        def begin(num_cpus: int = 3, **machine: Any) -> None:
            machines.append(fake.use(str(tmp_path), **machine))
            machines[0].__enter__()
            fake.reset_counts()
            ray.init(num_cpus=num_cpus, object_store_memory=100 << 20)

        yield begin
        gc.collect()
        ray.shutdown()
        for machine in machines:
            machine.__exit__(None, None, None)


@pytest.fixture
def session(start: Callable[..., Any]) -> None:
    """A session on a machine with one fake device."""
    start()


@pytest.fixture
def dice() -> random.Random:
    """Random numbers whose seed is printed."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)
