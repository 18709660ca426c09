"""Where and for how long the state functions ask."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.runtime.start import node_control
from ray_async.util import state


@pytest.fixture(scope="module")
def other() -> Iterator[str]:
    entry = node_control.start_head({"address": "127.0.0.1:7411", "num_cpus": 1, "node_name": "other"})
    yield entry.address
    node_control.stop_nodes(only=entry)


@pytest.fixture
def session(other: str) -> Iterator[Any]:
    with ray.init("local", num_cpus=1, _node_name="own") as context:
        yield context


def names(address: str | None) -> list[str]:
    return [row.node_name for row in state.list_nodes(address=address)]


def test_a_node_without_a_session(other: str) -> None:
    assert names(other) == ["other"]
    assert names("localhost:7411") == ["other"]
    assert state.summarize_tasks(address=other)["cluster"]["total"] == 0
    assert state.get_actor("00", address=other) is None
    assert not ray.is_initialized()


def test_a_session_asks_its_own_node_or_the_one_that_is_named(session: Any, other: str) -> None:
    assert names(None) == names("auto") == names(session.address_info["address"]) == ["own"]
    assert names(other) == ["other"]


def test_a_node_that_does_not_run() -> None:
    with pytest.raises(state.ServerUnavailable, match=r"no node runs at '127\.0\.0\.1:1'"):
        state.list_actors(address="127.0.0.1:1")


def test_a_node_that_does_not_answer_in_time(session: Any, other: str) -> None:
    (head,) = [entry for entry in node_control.find_nodes() if entry.address == other]
    own = get_session().control("statistics")["node_pid"]
    for pid, address in ((own, None), (head.pid, other)):
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(state.ServerUnavailable, match="has not answered"):
                state.list_nodes(address=address, timeout=0.05)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert len(names(address)) == 1


def test_other_arguments(session: Any) -> None:
    assert len(state.list_nodes(detail=True, raise_on_missing_output=False)) == 1
    with pytest.raises(TypeError, match="colour"):
        state.list_nodes(colour="red")
    with pytest.raises(ValueError, match="timeout must be positive"):
        state.list_nodes(timeout=0)


def test_objects_are_located_within_a_time(session: Any) -> None:
    from ray_async.experimental.locations import get_object_locations

    ref = ray.put(b"x" * 1000)
    assert get_object_locations([ref], timeout_ms=60_000)[ref]["node_ids"]
    own = get_session().control("statistics")["node_pid"]
    os.kill(own, signal.SIGSTOP)
    try:
        with pytest.raises(ray.exceptions.GetTimeoutError, match="has not answered"):
            get_object_locations([ref], timeout_ms=50)
    finally:
        os.kill(own, signal.SIGCONT)


def test_one_address_of_a_node(session: Any) -> None:
    address = ray.util.get_node_ip_address()
    assert [row["NodeManagerAddress"] for row in ray.nodes()] == [address]
    assert f"node:{address}" in ray.cluster_resources()

    @ray.remote(resources={f"node:{address}": 0.01})
    def there() -> str:
        return ray.util.get_node_ip_address()

    assert ray.get(there.remote(), timeout=60) == address


def test_the_address_is_the_same_before_there_is_a_session(other: str) -> None:
    before = ray.util.get_node_ip_address()
    with ray.init("local", num_cpus=1):
        assert ray.util.get_node_ip_address() == before
    with ray.init("local", num_cpus=1, _node_ip_address="127.0.0.7"):
        assert ray.util.get_node_ip_address() == ray.nodes()[0]["NodeManagerAddress"] == "127.0.0.7"
