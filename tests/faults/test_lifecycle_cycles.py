"""A hundred sessions in one process: no growth."""

import asyncio
import gc
import os
import threading

import numpy as np
import pytest

import ray_async as ray


@ray.remote
def double(x):
    return x * 2


def cycle():
    ray.init(num_cpus=1, object_store_memory=80 << 20)

    async def main():
        return await double.remote(21)

    assert asyncio.run(main()) == 42
    assert ray.get(double.remote(ray.put(np.ones(100_000)))).sum() == 200_000
    ray.shutdown()


def resident():
    """Private memory of this process in KiB."""
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty")))


def mappings():
    with open("/proc/self/maps") as file:
        return [line for line in file if "memfd:ray_async" in line]


def descriptors():
    return sorted(
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if fd.isdigit() and int(fd) > 2 and os.path.lexists(f"/proc/self/fd/{fd}")
    )


@pytest.mark.timeout(600)
def test_a_hundred_cycles():
    for _ in range(5):
        cycle()
    gc.collect()
    before = resident(), len(descriptors()), threading.active_count()
    for _ in range(100):
        cycle()
    gc.collect()
    assert len(descriptors()) == before[1], descriptors()
    assert threading.active_count() == before[2], threading.enumerate()
    assert resident() - before[0] < 4096, "KiB in a hundred sessions"
    # The function keeps what was prepared for its last session until it is called again: one, not a hundred.
    assert len(mappings()) <= 1
