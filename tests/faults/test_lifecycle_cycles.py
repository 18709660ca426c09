"""Many sessions in one process, one after the other: no growth."""

import asyncio
import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import ray_async as ray


@ray.remote
def double(x):
    return x * 2


def cycle(with_array=True):
    ray.init(num_cpus=1, object_store_memory=80 << 20)

    async def main():
        return await double.remote(21)

    assert asyncio.run(main()) == 42
    assert len(ray.get(double.remote(ray.put(bytes(300_000))))) == 600_000
    if with_array:  # the worker of each session imports numpy for it, which takes most of the time
        assert ray.get(double.remote(ray.put(np.ones(100_000)))).sum() == 200_000
    ray.shutdown()


def resident():
    """Memory of this process's own in KiB; clean pages are those of files, private or not by who else has them open."""
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))


def mappings():
    with open("/proc/self/maps") as file:
        return [line for line in file if "memfd:ray_async" in line]


def descriptors():
    return sorted(
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if fd.isdigit() and int(fd) > 2 and os.path.lexists(f"/proc/self/fd/{fd}")
    )


CYCLES = 40


def cycles():
    for _ in range(5):
        cycle()
    gc.collect()
    before = resident(), len(descriptors()), threading.active_count()
    for i in range(CYCLES):
        cycle(with_array=i % 10 == 0)
    gc.collect()
    assert len(descriptors()) == before[1], descriptors()
    assert threading.active_count() == before[2], threading.enumerate()
    assert resident() - before[0] < 2048, f"KiB in {CYCLES} sessions"
    assert mappings() == [], "the memory of ended sessions"


@pytest.mark.timeout(600)
def test_cycles():
    """In an interpreter of its own: what other tests leave in a process, and the noise of a large one, do not count."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    cycles()
