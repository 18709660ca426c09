"""The node process is killed: every waiter is told, and the driver removes what is left."""

import asyncio
import contextlib
import os
import signal
import threading
import time

import pytest

import ray_async as ray
from ray_async.exceptions import NodeDiedError
from tests.faults.session import node_pid, session_dir, state_of, statistics, worker_pids, zygote_pid


@ray.remote
def slow():
    time.sleep(1000)


@ray.remote
def one():
    return 1


@ray.remote
def trickle():
    yield 1
    time.sleep(1000)
    yield 2


@ray.remote
class Sleeper:
    def sleep(self):
        time.sleep(1000)

    def name(self):
        return "sleeper"


class Thread(threading.Thread):
    """Runs a function and keeps what came of it."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self._function = function
        self.outcome = None
        self.start()

    def run(self):
        try:
            self.outcome = self._function()
        except BaseException as error:
            self.outcome = error

    def result(self):
        self.join(30)
        assert not self.is_alive(), f"{self._function} still waits"
        return self.outcome


def kill_node():
    os.kill(node_pid(), signal.SIGKILL)


def test_every_waiting_thread_is_told(start, wait_until):
    start()
    ray.get(one.remote())
    actor = Sleeper.remote()
    assert ray.get(actor.name.remote()) == "sleeper"
    stream = trickle.remote()
    assert ray.get(next(stream)) == 1
    ref, call = slow.remote(), actor.sleep.remote()
    threads = [
        Thread(lambda: ray.get(ref)),
        Thread(lambda: ray.get([ref, call])),
        Thread(lambda: ray.get(call, timeout=1000)),
        Thread(lambda: ray.wait([ref, call], num_returns=2)),
        Thread(lambda: next(stream)),
        Thread(lambda: ref.future().result()),
    ]
    processes = [node_pid(), zygote_pid(), *worker_pids()]
    kill_node()
    for thread in threads:
        assert isinstance(thread.result(), NodeDiedError)
    wait_until(lambda: all(state_of(pid) in ("", "Z") for pid in processes))


async def test_every_waiting_coroutine_is_told(start):
    await asyncio.to_thread(start)
    actor = Sleeper.remote()
    assert await actor.name.remote() == "sleeper"
    stream = trickle.remote()
    assert await anext(stream) is not None
    ref = slow.remote()

    async def wait_for(awaitable):
        return await awaitable

    waits = [
        asyncio.ensure_future(wait_for(ref)),
        asyncio.ensure_future(wait_for(actor.sleep.remote())),
        asyncio.ensure_future(anext(stream)),
        asyncio.gather(ref, actor.sleep.remote()),
        ref.as_future(),
        asyncio.wrap_future(ref.future()),
        asyncio.shield(slow.remote()),
        asyncio.ensure_future(asyncio.wait_for(slow.remote(), 1000)),
        asyncio.create_task(slow.remote().as_coroutine()),
        asyncio.ensure_future(next(asyncio.as_completed([slow.remote()]))),
    ]
    set_aside = {slow.remote()}
    waiting = asyncio.ensure_future(asyncio.wait(set_aside))
    await asyncio.sleep(0)
    await asyncio.to_thread(kill_node)
    outcomes = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 30)
    assert [type(outcome) for outcome in outcomes] == [NodeDiedError] * len(waits)
    assert await asyncio.wait_for(waiting, 30) == (set_aside, set())
    assert [type(each.exception()) for each in set_aside] == [NodeDiedError]
    with pytest.raises(NodeDiedError):
        await asyncio.wait_for(wait_for(slow.remote()), 30)


def test_several_loops_are_told(start):
    start()
    ref = slow.remote()

    async def main():
        await ref

    threads = [Thread(lambda: asyncio.run(main())) for _ in range(3)]
    kill_node()
    assert [type(thread.result()) for thread in threads] == [NodeDiedError] * 3


def test_calls_after_the_death_are_refused(start):
    start()
    actor = Sleeper.remote()
    assert ray.get(actor.name.remote()) == "sleeper"
    done = one.remote()
    assert ray.get(done) == 1
    ref = slow.remote()
    kill_node()
    with pytest.raises(NodeDiedError):
        ray.get(ref)
    assert ray.get(done) == 1, "what is there can be read"
    for call in (
        one.remote,
        actor.name.remote,
        Sleeper.remote,
        trickle.remote,
        lambda: ray.get_actor("nobody"),
        lambda: ray.kill(actor),
        ray.nodes,
        ray.cluster_resources,
        statistics,
    ):
        with pytest.raises(NodeDiedError, match=r"node process .* has died"):
            call()


def test_submitting_in_a_loop_ends(start):
    start()

    pace = threading.Event()

    def submit():
        while not pace.wait(0.001):
            one.remote()

    thread = Thread(submit)
    kill_node()
    assert isinstance(thread.result(), NodeDiedError)


def test_a_new_session_after_the_death(start):
    for _ in range(3):
        start()
        assert ray.get(one.remote()) == 1
        folder = session_dir()
        kill_node()
        with pytest.raises(NodeDiedError):
            ray.get(slow.remote())
        ray.shutdown()
        assert not folder.exists()
    start()
    assert ray.get(one.remote()) == 1


def test_spill_files_go_with_a_killed_node(start, tmp_path):
    import numpy as np

    start(object_store_memory=80 << 20, object_spilling_directory=str(tmp_path / "spill"))
    refs = [ray.put(np.full(10 << 20, i, dtype=np.uint8)) for i in range(15)]
    assert statistics()["spilled"] > 0
    kill_node()
    with pytest.raises(NodeDiedError):
        ray.get(slow.remote())
    ray.shutdown()
    del refs
    assert list((tmp_path / "spill").glob("*")) == []


def test_an_ended_node_is_a_death_too(start):
    start()
    ref = slow.remote()
    thread = Thread(lambda: ray.get(ref))
    os.kill(node_pid(), signal.SIGTERM)
    assert isinstance(thread.result(), NodeDiedError)


def test_killed_zygote_is_replaced(start, wait_until):
    start()
    assert ray.get([one.remote() for _ in range(20)], timeout=30) == [1] * 20

    @ray.remote(max_restarts=1, max_task_retries=1)
    class Survivor:
        def pid(self):
            return os.getpid()

    actor = Survivor.remote()
    before = ray.get(actor.pid.remote(), timeout=30)
    zygote = zygote_pid()
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: state_of(before) in ("", "Z"))
    assert ray.get([one.remote() for _ in range(20)], timeout=30) == [1] * 20
    assert ray.get(actor.pid.remote(), timeout=30) != before
    assert zygote_pid() != zygote


def test_a_task_whose_zygote_dies_says_so(start):
    start()

    @ray.remote(max_retries=0)
    def kill_my_parent():
        with contextlib.suppress(ProcessLookupError):
            os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)

    with pytest.raises(ray.exceptions.WorkerCrashedError, match="kill_my_parent"):
        ray.get(kill_my_parent.remote(), timeout=30)
    assert ray.get(one.remote(), timeout=30) == 1
