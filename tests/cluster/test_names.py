"""Named actors, and keys and values, as all nodes see them."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.state import StateKind
from ray_async.experimental import internal_kv
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

FAR = {"far": 1}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, session_folder: None) -> Iterator[Hosts]:
    """Two nodes, and this process attached to the first, in the namespace `shared`."""
    made = Hosts(tmp_path_factory.mktemp("credentials") / "cluster.json")
    try:
        made.add(num_cpus=2, resources={"far": 2})
        ray.init(address=made.first.session_dir, namespace="shared")
        yield made
    finally:
        ray.shutdown()
        made.stop()


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value


@ray.remote(resources=FAR, num_cpus=0)
def add_by_name(name: str) -> int:
    counter: Any = ray.get_actor(name)
    found: int = ray.get(counter.add.remote())
    return found


def ended(hosts: Hosts) -> bool:
    """Whether no actor lives on any node."""
    gc.collect()
    return not any(row["state"] == "ALIVE" for node in hosts.nodes for row in hosts.rows(node, StateKind.ACTORS))


@pytest.mark.parametrize("options", [{}, {"resources": FAR}], ids=["near", "far"])
def test_a_name_is_known_on_all_nodes(shared: Hosts, options: dict[str, Any]) -> None:
    counter = Counter.options(name="counter", **options).remote()
    assert ray.get(counter.add.remote()) == 1
    assert ray.get(add_by_name.remote("counter")) == 2
    assert ray.get(add_by_name.remote("counter")) == 3
    assert shared.run(shared.nodes[1], "print(ray.get(ray.get_actor('counter').add.remote()))") == "4"
    assert shared.run(shared.nodes[1], "print(ray.util.list_named_actors())") == "['counter']"
    ray.kill(counter)


def test_an_unknown_name_is_told_so(shared: Hosts) -> None:
    with pytest.raises(ValueError, match="nobody"):
        ray.get(add_by_name.remote("nobody"))


def test_namespaces_are_apart(shared: Hosts) -> None:
    counter = Counter.options(name="here").remote()
    program = """
try:
    ray.get_actor("here")
except ValueError:
    print(ray.get(ray.get_actor("here", namespace="shared").add.remote()))
"""
    assert shared.run(shared.nodes[1], program, namespace="other") == "1"
    ray.kill(counter)


def test_a_name_is_given_once(shared: Hosts) -> None:
    @ray.remote(resources=FAR, num_cpus=0)
    def take(name: str) -> str:
        try:
            Counter.options(name=name).remote()
        except ray.exceptions.ActorAlreadyExistsError:
            return "taken"
        return "new"

    counter = Counter.options(name="one").remote()
    assert ray.get(take.remote("one")) == "taken"
    ray.kill(counter)
    wait_until(lambda: ray.get(take.remote("one")) == "new")


def test_get_if_exists_from_two_nodes(shared: Hosts) -> None:
    program = """
@ray.remote(num_cpus=0)
class Counter:
    def __init__(self):
        self.value = 0
    def add(self):
        self.value += 1
        return self.value
print(ray.get(Counter.options(name="shared", get_if_exists=True, lifetime="detached").remote().add.remote()))
"""
    assert shared.run(shared.nodes[1], program) == "1"
    counter = Counter.options(name="shared", get_if_exists=True, lifetime="detached").remote()
    assert ray.get(counter.add.remote()) == 2
    assert shared.run(shared.nodes[1], program) == "3"
    ray.kill(counter)
    wait_until(lambda: ended(shared))


def test_a_detached_actor_outlives_its_driver_elsewhere(shared: Hosts) -> None:
    program = """
@ray.remote(num_cpus=0, resources={"far": 1})
class Counter:
    def __init__(self):
        self.value = 0
    def add(self):
        self.value += 1
        return self.value
counter = Counter.options(name="lasts", lifetime="detached").remote()
print(ray.get(counter.add.remote()))
"""
    assert shared.run(shared.first, program) == "1"  # made on one node, and living on the other
    counter: Any = ray.get_actor("lasts")
    assert [ray.get(counter.add.remote()) for _ in range(3)] == [2, 3, 4]
    assert shared.run(shared.nodes[1], "print(ray.get(ray.get_actor('lasts').add.remote()))") == "5"
    shared.run(shared.nodes[1], "ray.kill(ray.get_actor('lasts'))")
    with pytest.raises(ray.exceptions.ActorDiedError):
        while True:
            ray.get(counter.add.remote())
    del counter
    wait_until(lambda: ended(shared))


def test_what_a_task_starts_elsewhere_finds_its_own_place(shared: Hosts) -> None:
    @ray.remote(num_cpus=1, resources=FAR)
    def outer() -> tuple[str, str]:
        @ray.remote(num_cpus=0, label_selector={"ray.io/node-id": home})
        def inner() -> str:
            return ray.get_runtime_context().get_node_id()

        return ray.get_runtime_context().get_node_id(), ray.get(inner.remote())

    home = shared.id_of(shared.first)
    assert ray.get(outer.remote()) == (shared.id_of(shared.nodes[1]), home)


def test_what_a_driver_s_tasks_have_left_ends_with_it(shared: Hosts, tmp_path: Path) -> None:
    program = f"""
import pathlib, time

@ray.remote(num_cpus=0)
def waits():
    pathlib.Path({str(tmp_path)!r}, "begun").touch()
    while True:
        time.sleep(0.01)

@ray.remote(num_cpus=0, resources={{"far": 1}})
def outer():
    waits.remote()

ray.get(outer.remote())
while not pathlib.Path({str(tmp_path)!r}, "begun").exists():
    time.sleep(0.01)
"""
    shared.run(shared.first, program)
    wait_until(lambda: [r for r in shared.rows(shared.nodes[1], StateKind.TASKS) if r["state"] == "RUNNING"] == [])


def test_keys_and_values_are_everybodys(shared: Hosts) -> None:
    @ray.remote(resources=FAR, num_cpus=0)
    def look() -> tuple[bytes | None, list[bytes]]:
        found = internal_kv._internal_kv_get("key"), internal_kv._internal_kv_list("k")
        internal_kv._internal_kv_put("key", "there")
        return found

    internal_kv._internal_kv_put("key", "here")
    assert ray.get(look.remote()) == (b"here", [b"key"])
    assert internal_kv._internal_kv_get("key") == b"there"
    internal_kv._internal_kv_del("key")
    assert ray.get(look.remote()) == (None, [])
