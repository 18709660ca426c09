"""A controller that is killed, whatever it is doing: traffic goes on, and the next one goes on with its work."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve import api
from ray_async.serve.application import build
from tests.serve.controller import controller_pid, kill_controller, replica_pids, replica_states
from tests.serve.gate import Gated
from tests.serve.load import Load
from tests.serve.sizes import size
from tests.serve.waiting import wait_until


def gated(answer: str, gate: Path, options: dict[str, Any] | None = None, fail: bool = False) -> Any:
    """An application whose constructors wait for a file, and then succeed or fail."""

    @serve.deployment(name="Versions", **(options or {}))
    class Versions:
        def __init__(self) -> None:
            gate.with_name(f"{gate.name}-waits").touch()
            while not gate.exists():
                time.sleep(0.01)
            if fail:
                raise ValueError(f"cannot load {answer}")

        async def __call__(self, request: Any = None) -> str:
            return answer

    return Versions.bind()


@pytest.fixture
def free(tmp_path: Path) -> Path:
    """A gate that is open."""
    path = tmp_path / "free"
    path.touch()
    return path


class Deploy(threading.Thread):
    """A `serve.run` in a thread."""

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__()
        self.error: Exception | None = None
        self._app = app
        self._options = options
        self.start()

    def run(self) -> None:
        try:
            serve.run(self._app, **self._options)
        except Exception as error:
            self.error = error


def waits(gate: Path) -> Path:
    return gate.with_name(f"{gate.name}-waits")


def test_at_rest(http: httpx.Client, free: Path) -> None:
    handle = serve.run(gated("v1", free, {"num_replicas": 2, "user_config": None}))
    before, address, pids = serve.status(), serve.status().http_address, replica_pids()
    with Load(http, handle) as load:
        for _ in range(2):
            load.more()
            kill_controller()
        load.more()
        assert (serve.status(), serve.status().http_address, replica_pids()) == (before, address, pids)
        serve.run(gated("v2", free, {"num_replicas": 3}))
        load.more()
    assert load.failures == []
    assert set(load.answers) == {"v1", "v2"}
    assert handle.remote().result() == "v2"
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 3}})


def test_in_a_rollout(http: httpx.Client, free: Path, tmp_path: Path) -> None:
    handle = serve.run(gated("v1", free, {"num_replicas": 3}))
    with Load(http, handle) as load:
        gate = tmp_path / "gate"
        deploy = Deploy(gated("v2", gate, {"num_replicas": 3}))
        wait_until(waits(gate).exists)
        kill_controller()
        load.more()
        assert deploy.is_alive()
        kill_controller()
        gate.touch()
        deploy.join()
        load.more()
    assert deploy.error is None
    assert load.failures == []
    assert set(load.answers) == {"v1", "v2"}
    assert {handle.remote().result() for _ in range(20)} == {"v2"}
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 3}} and len(replica_pids()) == 3)


def test_in_a_deploy_that_fails(http: httpx.Client, free: Path, tmp_path: Path) -> None:
    handle = serve.run(gated("v1", free, {"num_replicas": 2}))
    with Load(http, handle) as load:
        gate = tmp_path / "gate"
        deploy = Deploy(gated("v2", gate, {"num_replicas": 2}, fail=True))
        wait_until(waits(gate).exists)
        kill_controller()
        gate.touch()
        deploy.join()
        assert "ValueError: cannot load v2" in str(deploy.error)
        load.more()
        kill_controller()
        status = serve.status().applications["default"]
        assert status.status == "DEPLOY_FAILED"
        assert "cannot load v2" in status.message
        serve.run(gated("v3", free, {"num_replicas": 2}))
        load.more()
    assert load.failures == []
    assert set(load.answers) == {"v1", "v3"}


def test_while_scaling(http: httpx.Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    deploy = Deploy(gated("v1", gate, {"num_replicas": 4}))
    wait_until(waits(gate).exists)
    kill_controller()
    assert replica_states() == {"Versions": {"STARTING": 4}}
    assert len(replica_pids()) == 4
    gate.touch()
    deploy.join()
    assert deploy.error is None
    assert replica_states() == {"Versions": {"RUNNING": 4}}
    serve.run(gated("v1", gate, {"num_replicas": 1}))
    kill_controller()
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 1}} and len(replica_pids()) == 1)
    assert http.get("/").text == "v1"


def test_while_an_application_goes(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.bind(gate), name="going", route_prefix="/going")
    response = handle.remote("kept")
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    delete = threading.Thread(target=serve.delete, args=("going",))
    delete.start()
    wait_until(lambda: serve.status().applications["going"].status == "DELETING")
    kill_controller()
    assert serve.status().applications["going"].status == "DELETING"
    assert http.get("/going").status_code == 404
    ray.get(gate.open.remote())
    assert response.result() == "kept"
    delete.join()
    assert serve.status().applications == {}
    assert replica_pids() == {}


class Configured:
    """Has what it needs by `reconfigure` alone, which is slow."""

    def reconfigure(self, config: str) -> None:
        time.sleep(0.02)
        self.config = config

    async def __call__(self, request: Any = None) -> str:
        return self.config


class ConfiguredLater(Configured):
    """The same, on the replica's loop."""

    async def reconfigure(self, config: str) -> None:  # type: ignore[override]
        await asyncio.sleep(0.02)
        self.config = config


Deployed = serve.deployment(name="Configured", num_replicas=2)(Configured)


def test_with_several_applications(http: httpx.Client, free: Path) -> None:
    serve.run(Deployed.options(user_config="a").bind(), name="one", route_prefix="/one")
    hidden = serve.run(gated("hidden", free), name="two", route_prefix=None)
    declared = build(Deployed.options(user_config="b", max_ongoing_requests=7).bind(), "three", "/three")
    api.deploy([replace(declared, declared=True)], None, wait=True)
    with pytest.raises(RuntimeError, match="cannot load four"):
        serve.run(gated("four", free, fail=True), name="four", route_prefix="/four")
    wait_until(lambda: len(replica_pids()) == 5)
    before, config, pids = serve.status(), api.declared(), replica_pids()
    kill_controller()
    assert (serve.status(), api.declared(), replica_pids()) == (before, config, pids)
    assert http.get("/one").text == "a"
    assert http.get("/three").text == "b"
    assert hidden.remote().result() == "hidden"
    assert http.get("/-/routes").json() == {"/one": "one", "/three": "three"}
    serve.run(Deployed.options(user_config="c").bind(), name="one", route_prefix="/one")
    assert http.get("/one").text == "c"
    assert replica_pids() == pids


def test_replicas_that_die_with_it_are_replaced(http: httpx.Client, free: Path) -> None:
    handle = serve.run(gated("v1", free, {"num_replicas": 3}))
    pids = replica_pids()
    for pid in (controller_pid(), *list(pids.values())[:2]):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(replica_pids()) == 3 and len(set(pids.values()) & set(replica_pids().values())) == 1)
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 3}})
    assert handle.remote().result() == "v1"
    assert http.get("/").text == "v1"


def test_where_nothing_is_deployed(http: httpx.Client, free: Path) -> None:
    assert http.get("/-/routes").json() == {}
    kill_controller()
    address = serve.status().http_address
    host, port = address.split(":")

    def listens() -> bool:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except ConnectionRefusedError:
            return False
        return True

    wait_until(listens)
    with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
        assert client.get("/-/healthz").status_code == 503  # there are no routes
        serve.run(gated("v1", free))
        assert client.get("/-/healthz").text == "success"
        assert client.get("/").text == "v1"


def test_all_processes_that_have_the_socket(http: httpx.Client, free: Path) -> None:
    serve.run(gated("v1", free, {"num_replicas": 2}))
    for pid in (controller_pid(), *replica_pids().values()):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 2}})
    with httpx.Client(base_url=http.base_url, timeout=30) as client:
        assert client.get("/").text == "v1"


@pytest.mark.parametrize("kind", [Configured, ConfiguredLater])
def test_a_reconfigured_object_is_never_seen_before(http: httpx.Client, kind: Any) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    deployment = serve.deployment(name="Configured", user_config="a", idempotent=True)(kind)
    handle = serve.run(deployment.options(num_replicas=2).bind())
    started = set(replica_pids())
    with Load(http, handle, tries=3) as load:  # a killed replica takes along the connections of its clients
        for number in itertools.count():
            load.more(10)
            serve.run(deployment.options(num_replicas=chance.randint(1, 5)).bind())
            started |= set(replica_pids())
            if len(started) >= size(6, 100):
                break
            if number % 4 == 3:
                kill_controller()
            elif number % 2:
                with contextlib.suppress(ProcessLookupError):  # one that was to go has gone meanwhile
                    os.kill(chance.choice(list(replica_pids("Configured").values())), signal.SIGKILL)
    assert load.failures == []
    assert set(load.answers) == {"a"}


def test_at_any_moment(http: httpx.Client, free: Path) -> None:
    seed = random.randrange(10**9)
    print("seed", seed)
    chance = random.Random(seed)
    handle = serve.run(gated("v0", free, {"num_replicas": 2}))
    over = threading.Event()

    def kill() -> None:
        while not over.wait(chance.uniform(0.05, 0.6)):
            with contextlib.suppress(ProcessLookupError):  # the node has not noticed the last kill yet
                if pid := controller_pid():
                    os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    with Load(http, handle) as load:
        killer.start()
        try:
            for number in range(1, 9):
                serve.run(gated(f"v{number}", free, {"num_replicas": 1 + number % 3}))
                load.more(20)
        finally:
            over.set()
            killer.join()
    assert load.failures == []
    assert handle.remote().result() == "v8"
    wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 3}} and len(replica_pids()) == 3)


def test_shutdown_goes_on(session: None) -> None:
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            if pid := controller_pid():
                os.kill(pid, signal.SIGKILL)
                return

    killer = threading.Thread(target=kill)
    killer.start()
    serve.shutdown()
    over.set()
    killer.join()
    assert ray.util.list_named_actors(all_namespaces=True) == []
    assert serve.status().applications == {}
    serve.start(serve.HTTPOptions(port=0))  # for the tests after this one
