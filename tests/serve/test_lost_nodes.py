"""Nodes that are lost under load: a logical one with replicas on it, and the process of all."""

import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.cluster_utils import Cluster
from ray_async.exceptions import NodeDiedError, RayActorError
from tests.faults.session import node_pid, state_of, worker_pids, zygote_pid
from tests.serve.controller import replica_pids, replica_states
from tests.serve.gate import Gate, Gated
from tests.serve.load import Load
from tests.serve.waiting import wait_until

CLIENTS = 6  # of a `Load`, each of which has one request at a time


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    ray.init(address=cluster.address, log_to_driver=False)
    serve.start(serve.HTTPOptions(port=0))
    yield cluster
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


@serve.deployment(num_replicas=4, ray_actor_options={"num_cpus": 1})
class Spread:
    async def __call__(self, request: Any = None) -> str:
        return "answer"


def test_a_logical_node_with_replicas_goes_under_load(cluster: Cluster) -> None:
    node = cluster.add_node(num_cpus=2)
    handle = serve.run(Spread.bind(), wait_for_resources=True)
    before = set(replica_pids().values())
    with httpx.Client(base_url=f"http://{serve.status().http_address}", timeout=60) as http:
        with Load(http, handle) as load:
            load.more()
            cluster.remove_node(node)
            wait_until(lambda: replica_states().get("Spread", {}).get("RUNNING") == 2)
            lost = list(load.failures)
            load.failures.clear()
            load.more()
            assert set(replica_pids().values()) < before  # the others go on
            cluster.add_node(num_cpus=2)
            wait_until(lambda: replica_states() == {"Spread": {"RUNNING": 4}})
            load.more()
        lost += load.failures
        assert len(lost) <= CLIENTS  # what the lost replicas had in their hands
        assert all(isinstance(error, httpx.TransportError | RayActorError) for error in lost), lost
        assert set(load.answers) == {"answer"}


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    serve.start(serve.HTTPOptions(port=0))
    yield
    serve.shutdown()
    ray.shutdown()


def test_the_node_process_is_killed(session: None) -> None:
    gate = ray.remote(Gate).options(num_cpus=0).remote()
    handle = serve.run(Gated.options(num_replicas=2).bind(gate))
    host, port = serve.status().http_address.split(":")
    processes = [node_pid(), zygote_pid(), *worker_pids()]
    with (
        socket.create_connection((host, int(port)), timeout=60) as idle,
        socket.create_connection((host, int(port)), timeout=60) as busy,
    ):
        busy.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        held = handle.remote()
        wait_until(lambda: ray.get(gate.counts.remote())[0] == 2)
        os.kill(node_pid(), signal.SIGKILL)
        assert [ended(one) for one in (idle, busy)] == [True, True]
    with pytest.raises(NodeDiedError):
        held.result()
    with pytest.raises(NodeDiedError):
        handle.remote().result()
    wait_until(lambda: all(state_of(pid) in ("", "Z") for pid in processes))
    wait_until(lambda: is_refused(host, int(port)))


def is_refused(host: str, port: int) -> bool:
    """Whether nobody listens any more."""
    try:
        with socket.create_connection((host, port)):
            return False
    except ConnectionRefusedError:
        return True


def ended(connection: socket.socket) -> bool:
    """Whether the connection ends without another byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
