"""Errors that nobody can read any more are told on the driver's stderr."""

from __future__ import annotations

import pytest

from tests.output.script import run

# Each failure waits until its reference is gone; results that are read, awaited or cancelled are not told.
SCRIPT = """
import asyncio, os, tempfile, time
import ray_async as ray
from ray_async.util.state import list_tasks
ray.init(num_cpus=2)
path = tempfile.mkdtemp() + "/open"

def wait():
    while not os.path.exists(path):
        time.sleep(0.002)

@ray.remote
def fails(word):
    wait()
    raise ValueError(word)

@ray.remote
def fails_of_a_cancel():
    with open(path + ".begun", "w"):
        pass
    try:
        wait()
    except BaseException:
        raise ValueError("of a cancel")

@ray.remote(num_returns=2)
def fails_twice(word):
    wait()
    raise ValueError(word)

@ray.remote
async def fails_async(word):
    await asyncio.to_thread(wait)
    raise ValueError(word)

@ray.remote
class Keeper:
    def fails(self, word):
        wait()
        raise ValueError(word)

@ray.remote
def passes_on(value):
    return value

async def awaited():
    await fails.remote("awaited")

async def future():
    await asyncio.ensure_future(fails.remote("future"))

async def future_of_threads():
    await asyncio.wrap_future(fails.remote("future of threads").future())

async def awaits():
    results = asyncio.gather(awaited(), future(), future_of_threads(), return_exceptions=True)
    await asyncio.sleep(0)  # all of them wait now
    with open(path, "w"):
        pass
    assert [str(result).rpartition("ValueError: ")[2] for result in await results] == [
        "awaited", "future", "future of threads"
    ]

stopped = fails_of_a_cancel.remote()
while not os.path.exists(path + ".begun"):
    time.sleep(0.002)
ray.cancel(stopped)
del stopped
keeper = Keeper.remote()
fails.remote("alone")
fails_twice.remote("both")
fails_async.remote("coroutine")
keeper.fails.remote("method")
first, second = fails_twice.remote("one is kept")
del second
kept = fails.remote("kept")
cancelled = fails.remote("cancelled")
ray.cancel(cancelled)
del cancelled
asyncio.run(awaits())
for ref in (kept, first, passes_on.remote(fails.remote("argument")), fails.remote("got")):
    try:
        ray.get(ref)
    except ValueError:
        pass
try:
    ray.get(keeper.fails.remote("after the others"))
except ValueError:
    pass
deadline = time.monotonic() + 60
while any(row["state"] not in ("FINISHED", "FAILED") and row["type"] != "ACTOR_CREATION_TASK" for row in list_tasks()):
    assert time.monotonic() < deadline, list_tasks()
    time.sleep(0.01)
os.remove(path)
os.remove(path + ".begun")
os.rmdir(os.path.dirname(path))
ray.shutdown()
"""
WORDS = ("alone", "both", "coroutine", "method")


@pytest.mark.parametrize("ignored", [False, True])
def test_errors_that_nobody_can_read(ignored: bool) -> None:
    _, err = run(SCRIPT, RAY_ASYNC_IGNORE_UNHANDLED_ERRORS=str(int(ignored)), RAY_ASYNC_DEDUP_LOGS="0")
    told = sorted(line.rpartition("ValueError: ")[2] for line in err if "ValueError: " in line)
    assert told == ([] if ignored else sorted(WORDS)), err
    assert len([line for line in err if "nothing refers to its result" in line]) == (0 if ignored else len(WORDS))
