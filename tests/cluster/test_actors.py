import asyncio
import gc
import os
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.state import StateKind
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

FAR = {"far": 1}


@ray.remote(resources=FAR)
class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def node(self) -> str:
        return ray.get_runtime_context().get_node_id()

    def fail(self) -> None:
        raise ValueError("bad")

    def die(self) -> None:
        os._exit(1)


def living(hosts: Hosts) -> int:
    """How many actors live on the other node."""
    return sum(row["state"] == "ALIVE" for row in hosts.rows(hosts.nodes[1], StateKind.ACTORS))


def test_calls_in_order(two_hosts: Hosts) -> None:
    counter = Counter.remote(10)
    assert ray.get(counter.node.remote()) == two_hosts.id_of(two_hosts.nodes[1])
    assert ray.get([counter.add.remote() for _ in range(300)]) == list(range(11, 311))


def test_errors(two_hosts: Hosts) -> None:
    counter = Counter.remote()
    with pytest.raises(ValueError, match="bad"):
        ray.get(counter.fail.remote())
    assert ray.get(counter.add.remote()) == 1


def test_a_constructor_that_fails(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    class Bad:
        def __init__(self) -> None:
            raise ValueError("not today")

        def ping(self) -> None: ...

    bad = Bad.remote()
    with pytest.raises(ray.exceptions.ActorDiedError, match="not today"):
        ray.get(bad.ping.remote())


def test_an_actor_whose_process_dies(two_hosts: Hosts) -> None:
    counter = Counter.remote()
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(counter.die.remote())
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(counter.add.remote())


def test_an_actor_that_is_restarted(two_hosts: Hosts) -> None:
    counter = Counter.options(max_restarts=1, max_task_retries=-1).remote(5)
    assert ray.get(counter.add.remote()) == 6
    with pytest.raises(ray.exceptions.RayActorError):
        ray.get(counter.die.options(max_task_retries=0).remote())
    assert ray.get(counter.add.remote()) == 6


def test_kill(two_hosts: Hosts) -> None:
    wait_until(lambda: living(two_hosts) == 0)  # those of other tests are about to end
    counter = Counter.remote()
    ray.get(counter.add.remote())
    assert living(two_hosts) == 1
    ray.kill(counter)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(counter.add.remote())
    wait_until(lambda: living(two_hosts) == 0)


def test_an_actor_ends_with_its_last_handle(two_hosts: Hosts) -> None:
    wait_until(lambda: living(two_hosts) == 0)
    counter = Counter.remote()
    ray.get(counter.add.remote())
    assert living(two_hosts) == 1
    del counter
    gc.collect()
    wait_until(lambda: living(two_hosts) == 0)


def test_handles_go_round(two_hosts: Hosts) -> None:
    @ray.remote(num_cpus=0)
    def add_here(counter: Any) -> Any:
        return ray.get(counter.add.remote(100))

    @ray.remote(num_cpus=0, resources={"far": 0.5})
    def add_there(counter: Any) -> Any:
        return ray.get(counter.add.remote(100))

    far = Counter.remote()
    near = Counter.options(resources={}).remote()
    found: list[Any] = [ray.get(call) for call in (add_here.remote(far), add_there.remote(far), add_there.remote(near))]
    assert sorted(found[:2]) == [100, 200] and found[2] == 100
    assert ray.get(near.node.remote()) == two_hosts.id_of(two_hosts.first)
    assert ray.get(near.add.remote()) == 101


async def test_an_async_actor(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    class Gate:
        def __init__(self) -> None:
            self.event = asyncio.Event()

        async def wait(self) -> str:
            await self.event.wait()
            return "open"

        async def open(self) -> None:
            self.event.set()

    gate = Gate.remote()
    waiting = [gate.wait.remote() for _ in range(5)]
    await gate.open.remote()
    assert await asyncio.gather(*waiting) == ["open"] * 5


async def test_a_call_that_is_cancelled(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    class Sleeper:
        def __init__(self) -> None:
            self.state = "new"

        async def sleep(self) -> None:
            self.state = "asleep"
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.state = "cancelled"
                raise

        async def now(self) -> str:
            return self.state

    sleeper = Sleeper.remote()
    ref = sleeper.sleep.remote()
    while await sleeper.now.remote() != "asleep":
        pass
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        await ref
    while await sleeper.now.remote() != "cancelled":
        pass
