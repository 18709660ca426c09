"""SIGKILL, SIGSTOP and SIGCONT of workers that have work."""

import asyncio
import contextlib
import os
import signal
import threading
import time

import numpy as np
import pytest

import ray_async as ray
from tests.faults.session import SEED, WorkerKiller, state_of, worker_pids


@ray.remote(max_retries=-1)
def square(x):
    sum(range(5000))  # long enough to be killed in
    return x * x


@ray.remote(max_retries=-1)
def filled(i, n):
    return np.full(n, i, dtype=np.int64)


@ray.remote(max_retries=-1)
def total(array, plus):
    return int(array.sum()) + plus


def test_thousands_of_tasks_with_killed_workers(start):
    start()
    killer = WorkerKiller(every=400, seed=SEED)
    values = killer.take(square.remote, 6000)
    assert values == [i * i for i in range(6000)]
    assert killer.kills >= 5


def test_arrays_and_references_with_killed_workers(start):
    start()
    shared = ray.put(np.arange(50_000))
    killer = WorkerKiller(every=60, seed=SEED + 1)
    shares = [total.remote(shared, i) for i in range(300)]
    values = killer.take(lambda i: total.remote(filled.remote(i, 2000 + 37 * (i % 100)), i), 600)
    values += ray.get(shares, timeout=60)
    assert values[:600] == [i * (2000 + 37 * (i % 100)) + i for i in range(600)]
    assert values[600:] == [50_000 * 49_999 // 2 + i for i in range(300)]
    assert killer.kills >= 5


def test_nested_tasks_with_killed_workers(start):
    start(num_cpus=3)

    @ray.remote(max_retries=-1)
    def fan(n):
        return sum(ray.get([square.remote(i) for i in range(n)]))

    killer = WorkerKiller(every=30, seed=SEED + 2)
    values = killer.take(lambda i: fan.remote(20), 150, window=20)
    assert values == [sum(i * i for i in range(20))] * 150
    assert killer.kills >= 2


async def test_awaited_tasks_with_killed_workers(start):
    await asyncio.to_thread(start)
    killer = WorkerKiller(every=150, seed=SEED + 3)

    async def one(i):
        value = await square.remote(i)
        await asyncio.to_thread(killer.done)
        return value

    values = []
    for wave in range(10):
        values += await asyncio.gather(*(one(wave * 150 + i) for i in range(150)))
    assert values == [i * i for i in range(1500)]
    assert killer.kills >= 5


def test_streams_with_killed_workers(start):
    start()

    @ray.remote(max_retries=-1)
    def count(n):
        for i in range(n):
            yield np.full(3000, i)

    killer = WorkerKiller(every=25, seed=SEED + 4)
    for _ in range(6):
        items = []
        for ref in count.remote(40):
            items.append(int(ray.get(ref, timeout=60)[0]))
            killer.done()
        assert items == list(range(40))
    assert killer.kills >= 3


def test_actor_calls_are_retried_over_restarts(start):
    start()

    @ray.remote(max_restarts=-1, max_task_retries=-1)
    class Echo:
        def same(self, x):
            return x

    actors = [Echo.remote() for _ in range(2)]
    killer = WorkerKiller(every=200, seed=SEED + 5)
    values = killer.take(lambda i: actors[i % 2].same.remote(i), 2000)
    assert values == list(range(2000))
    assert killer.kills >= 3


def test_without_retries_the_error_says_why(start):
    start()

    @ray.remote(max_retries=0)
    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ray.exceptions.WorkerCrashedError, match=r"(?s)task .*die.*SIGKILL"):
        ray.get(die.remote(), timeout=30)
    assert ray.get(square.remote(3), timeout=30) == 9


def test_retries_are_counted(start, tmp_path):
    start()
    log = tmp_path / "runs"

    @ray.remote(max_retries=2)
    def die():
        with open(log, "a") as file:
            file.write("x")
        os._exit(7)

    with pytest.raises(ray.exceptions.WorkerCrashedError, match="exit code 7"):
        ray.get(die.remote(), timeout=60)
    assert log.read_text() == "xxx"


def test_stopped_worker_delays_only_its_own_task(start, tmp_path, wait_until):
    start(num_cpus=2)

    @ray.remote
    def meet(mine, other):
        mine.touch()
        while not other.exists():
            time.sleep(0.001)
        return os.getpid()

    # Two tasks that wait for each other need two workers.
    places = tmp_path / "a", tmp_path / "b"
    victim = ray.get([meet.remote(*places), meet.remote(*reversed(places))], timeout=60)[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(victim) == "T")
        refs = [square.remote(i) for i in range(2000)]
        ready, _ = ray.wait(refs, num_returns=1900, timeout=60)
        assert len(ready) >= 1900, "the other worker goes on"
    finally:
        os.kill(victim, signal.SIGCONT)
    assert ray.get(refs, timeout=60) == [i * i for i in range(2000)]


def test_workers_stopped_and_continued_at_random(start):
    import random

    start(num_cpus=3)
    choice = random.Random(SEED + 6)
    stop = threading.Event()

    def torment():
        while not stop.is_set():
            pids = worker_pids()  # none at all for a moment, when all were taken away for having nothing to do
            for victim in choice.sample(pids, k=min(1, len(pids))):
                with contextlib.suppress(ProcessLookupError):  # one that has nothing to do may end meanwhile
                    os.kill(victim, signal.SIGSTOP)
                    stop.wait(choice.random() * 0.02)
                    os.kill(victim, signal.SIGCONT)

    thread = threading.Thread(target=torment)
    thread.start()
    try:
        refs = [square.remote(i) for i in range(3000)]
        arrays = [filled.remote(i, 5000) for i in range(100)]
        assert ray.get(refs, timeout=90) == [i * i for i in range(3000)]
        assert [int(a[0]) for a in ray.get(arrays, timeout=90)] == list(range(100))
    finally:
        stop.set()
        thread.join()


def test_a_stopped_worker_can_be_killed(start, wait_until):
    start()

    @ray.remote(max_restarts=0)
    class Victim:
        def pid(self):
            return os.getpid()

    actor = Victim.remote()
    pid = ray.get(actor.pid.remote(), timeout=30)
    os.kill(pid, signal.SIGSTOP)
    ref = actor.pid.remote()
    ray.kill(actor)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(ref, timeout=30)
    wait_until(lambda: state_of(pid) in ("", "Z"))
