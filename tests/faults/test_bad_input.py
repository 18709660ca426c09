"""Bad input gets a clear error and loses nothing."""

import asyncio
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.exceptions import RaySystemError


@ray.remote
def echo(x):
    return x


@ray.remote
class Holder:
    def get(self):
        return 7


def test_unknown_options_and_wrong_values():
    with pytest.raises(ValueError, match="cpus"):
        ray.remote(cpus=1)(lambda: 1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="num_cpus"):
        echo.options(num_cpus=-1)
    with pytest.raises((TypeError, ValueError), match="max_retries"):
        echo.options(max_retries="many")  # type: ignore[call-overload]
    with pytest.raises((TypeError, ValueError), match="resource x"):
        echo.options(resources={"x": "y"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="lifetime"):
        Holder.options(lifetime="forever")
    with pytest.raises((TypeError, ValueError), match="object_store_memory"):
        ray.init(object_store_memory=-5)
    with pytest.raises(ValueError, match=r"object_store_memory.*1125899906842624"):
        ray.init(object_store_memory=1 << 50)
    with pytest.raises(RuntimeError, match="no_such_option"):
        ray.init(no_such_option=1)
    assert not ray.is_initialized()


def test_wrong_environments_are_refused_at_once():
    for wrong, error, words in (
        ({"colour": "red"}, ValueError, "colour"),
        ({"env_vars": {"WIDTH": 1}}, TypeError, "variable 'WIDTH' has the value 1"),
    ):
        with pytest.raises(error, match=words):
            echo.options(runtime_env=wrong)
        with pytest.raises(error, match=words):
            ray.remote(runtime_env=wrong)(lambda: 1)
        with pytest.raises(error, match=words):
            Holder.options(runtime_env=wrong)
        with pytest.raises(error, match=words):
            ray.init(runtime_env=wrong)
    assert not ray.is_initialized()


def test_wrong_arguments_of_get_and_wait(start):
    start()
    get: Any = ray.get
    wait: Any = ray.wait
    ref = ray.put(1)
    with pytest.raises((TypeError, ValueError)):
        get(5)
    with pytest.raises((TypeError, ValueError)):
        get([ref, 5])
    with pytest.raises((TypeError, ValueError)):
        wait(ref)
    with pytest.raises(ValueError):
        wait([ref], num_returns=2)
    with pytest.raises(ValueError):
        wait([ref, ref])
    with pytest.raises(TypeError):
        echo.remote()
    with pytest.raises(TypeError):
        echo.remote(1, nonsense=2)
    assert get(echo.remote(ref), timeout=60) == 1


class Outer:
    def __init__(self):
        self.fine = 1
        self.guilty_attribute = threading.Lock()


def test_an_unpicklable_argument_names_the_attribute(start):
    start()
    with pytest.raises(TypeError, match="guilty_attribute"):
        echo.remote(Outer())
    with pytest.raises(TypeError, match="guilty_attribute"):
        ray.put([1, {"deep": Outer()}])
    lock = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        ray.remote(lambda: lock).remote()
    assert ray.get(echo.remote(3), timeout=60) == 3


def test_use_after_shutdown(start):
    start()
    ref, done = echo.remote(1), ray.put(2)

    @ray.remote
    def count():
        yield 1
        yield 2

    stream, actor = count.remote(), Holder.remote()
    assert ray.get(ref) == 1
    assert ray.get(next(stream), timeout=60) == 1
    assert ray.get(actor.get.remote(), timeout=60) == 7
    ray.shutdown()
    for _ in range(2):  # without a session, and with another one
        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            ray.get([ref, done])
        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            next(stream)
        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            actor.get.remote()
        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            echo.remote(ref)
        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            pickle.dumps([ref]) and echo.remote([ref])

        async def wait(ref):
            return await asyncio.wait_for(ref, 30)

        with pytest.raises((RuntimeError, RaySystemError, ValueError), match=r"session|shut down"):
            asyncio.run(wait(ref))
        if not ray.is_initialized():
            start()
    assert ray.get(echo.remote(5), timeout=60) == 5
    del ref, done, stream, actor


def test_a_reference_from_another_session(start):
    start()
    data = pickle.dumps(ray.put(np.arange(10)))
    ray.shutdown()
    start()
    ray.put(np.arange(20))
    with pytest.raises((RuntimeError, RaySystemError, ValueError), match="session"):
        ray.get(pickle.loads(data))


def test_a_resource_that_no_node_has(start, caplog, wait_until):
    start()
    ref = echo.options(resources={"unobtainium": 1}).remote(1)
    wait_until(lambda: "unobtainium" in caplog.text)
    ready, _ = ray.wait([ref], timeout=0)
    assert not ready
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=60)
    actor = Holder.options(num_cpus=1000).remote()
    wait_until(lambda: "1000" in caplog.text)
    ray.kill(actor)
    assert ray.get(echo.remote(2), timeout=60) == 2


def test_a_resource_that_no_node_has_is_an_error_on_request(start):
    start(_system_config={"fail_infeasible": True})
    for _ in range(2):
        with pytest.raises(ray.exceptions.TaskUnschedulableError, match=r"no node has .*unobtainium.* in total"):
            ray.get(echo.options(resources={"unobtainium": 1}).remote(1), timeout=60)
    with pytest.raises(ray.exceptions.ActorUnschedulableError, match=r"no node has .*1000"):
        ray.get(Holder.options(num_cpus=1000).remote().__ray_ready__.remote(), timeout=60)
    assert ray.get(echo.remote(2), timeout=60) == 2


def test_too_many_open_files(program):
    driver = program(
        """
ray.init(num_cpus=2)
@ray.remote
def one():
    return 1
assert ray.get(one.remote(), timeout=60) == 1
held = []
try:
    while True:
        held.append(open(os.devnull))
except OSError:
    say("full")
try:
    say(ray.get([one.remote() for _ in range(20)], timeout=60) == [1] * 20)
    say(ray.cluster_resources()["CPU"])
finally:
    while held:
        held.pop().close()
ray.shutdown()
""",
        limits="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n",
    )
    code, out, err = driver.finish()
    lines = out.splitlines()
    assert lines[:3] == ["full", "True", "2.0"], out + err
    assert code == 0, err
    assert driver.left() == []


def test_many_workers_with_few_files(program):
    """The node needs descriptors for each worker; where they do not suffice, work goes on with fewer workers."""
    driver = program(
        """
ray.init(num_cpus=30)
@ray.remote
def nap(i):
    time.sleep(0.2)
    return i
say(ray.get([nap.remote(i) for i in range(90)], timeout=100) == list(range(90)))
""",
        limits="import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n",
    )
    code, out, err = driver.finish(110)
    assert out.strip().endswith("True"), out + err
    assert code == 0, err
    assert driver.left() == []
