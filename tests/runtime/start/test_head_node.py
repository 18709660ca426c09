"""Node processes that drivers attach to: by address, several on one machine, and a driver's own."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.runtime.start import node_control
from ray_async.runtime.start.node_control import NodeEntry, NodeStartError

StartHead = Callable[..., NodeEntry]


@pytest.fixture
def start_head() -> Iterator[StartHead]:
    entries: list[NodeEntry] = []

    def start(port: int, **config: object) -> NodeEntry:
        entries.append(node_control.start_head({"address": f"127.0.0.1:{port}", "head": True, **config}))
        return entries[-1]

    yield start
    ray.shutdown()
    for entry in entries:
        node_control.stop_nodes(only=entry)
        assert not os.path.exists(entry.session_dir)
    assert node_control.find_nodes() == []


def test_drivers_attach_by_address(start_head: StartHead) -> None:
    start_head(7001, num_cpus=2)
    start_head(7002, num_cpus=3, resources={"disk": 1}, labels={"zone": "a"})

    @ray.remote
    def double(x: int) -> int:
        return 2 * x

    for port, cpus in ((7001, 2), (7002, 3)):
        with ray.init(address=f"127.0.0.1:{port}") as context:
            assert context.address_info["address"] == f"127.0.0.1:{port}"
            assert ray.get(double.remote(port)) == 2 * port
            assert ray.cluster_resources()["CPU"] == cpus
    with ray.init() as context:
        assert context.address_info["address"] == "127.0.0.1:7002"
        assert ray.cluster_resources()["disk"] == 1
        assert ray.nodes()[0]["Labels"]["zone"] == "a"


def test_settings_of_a_node_are_refused_where_one_is_found(start_head: StartHead) -> None:
    start_head(7004, num_cpus=1)
    for address in (None, "auto", "127.0.0.1:7004"):
        with pytest.raises(ValueError, match=r"num_cpus, resources must not be provided"):
            ray.init(address, num_cpus=2, resources={"disk": 1})
    with ray.init("local", num_cpus=2):
        assert ray.cluster_resources()["CPU"] == 2


def test_what_is_to_be_preloaded_keeps_nobody_from_a_running_node(start_head: StartHead) -> None:
    start_head(7005, num_cpus=1)
    for address in (None, "auto", "127.0.0.1:7005"):
        with ray.init(address, preload=["wave"]) as context:
            assert context.address_info["address"] == "127.0.0.1:7005"


def test_a_bad_setting_is_told_to_the_starter() -> None:
    with pytest.raises(NodeStartError, match="object_store_memory must be at least"):
        node_control.start_head({"address": "127.0.0.1:7003", "object_store_memory": 1})
    with pytest.raises(NodeStartError, match="no setting colour"):
        node_control.start_head({"address": "127.0.0.1:7003", "colour": "red"})
    assert node_control.find_nodes() == []
    assert not list(node_control.runtime_root().glob("session_*"))


def test_a_head_outlives_its_drivers_and_ends_on_sigterm(start_head: StartHead) -> None:
    entry = start_head(7004)
    with ray.init(address="auto"):
        pass
    assert node_control.find_node("127.0.0.1:7004") == entry
    assert node_control.stop_nodes(only=entry).found == 2
    assert node_control.find_node("127.0.0.1:7004") is None
    with pytest.raises(ConnectionError, match="7004"):
        ray.init(address="127.0.0.1:7004")


def test_a_killed_head_leaves_nothing_to_who_looks_for_nodes(start_head: StartHead) -> None:
    entry = start_head(7005, num_cpus=1)
    with ray.init("127.0.0.1:7005"):
        held = ray.put(1)
        os.kill(entry.pid, signal.SIGKILL)
        assert os.waitpid(entry.pid, 0)[1] == signal.SIGKILL
        with pytest.raises(ray.exceptions.NodeDiedError, match="What to try"):
            ray.get(ray.remote(lambda: 1).remote())
        del held
    assert node_control.find_node("127.0.0.1:7005") is None
    assert not os.path.exists(entry.session_dir)


def test_another_driver_attaches_to_a_drivers_node(tmp_path: Path) -> None:
    script = """
        import sys
        import ray_async as ray
        from ray_async.runtime.start import node_control
        assert node_control.find_node(None) is None, "a driver's node is not for everybody"
        for address in (sys.argv[1], "auto"):
            ray.init(address=address)
            print(ray.cluster_resources()["CPU"])
            ray.shutdown()
    """
    context = ray.init(num_cpus=5)
    try:
        command = [sys.executable, "-c", textwrap.dedent(script), context.address_info["address"]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["5.0", "5.0"], done.stderr
    finally:
        ray.shutdown()
    assert node_control.find_nodes() == []
