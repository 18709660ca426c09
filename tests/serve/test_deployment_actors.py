"""Deployment actors: shared by the replicas of a version, restarted, replaced, and gone with their deployment."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import DeploymentActorConfig
from ray_async.serve.deploying.from_config import as_options, built_of
from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema
from ray_async.serve.deployment_actors import DeploymentActorContext, unique_name
from ray_async.util import state
from tests.serve.controller import controller_pid, kill_controller, replica_pids, replica_states
from tests.serve.test_killed_controller import Deploy
from tests.serve.waiting import wait_until


class Counter:
    """A counter that replicas share."""

    def __init__(self, start: int = 0) -> None:
        self.count = start

    def add(self) -> int:
        self.count += 1
        return self.count

    def context(self) -> DeploymentActorContext:
        return serve.get_deployment_actor_context()

    def variables(self) -> tuple[str | None, str | None]:
        return os.environ.get("OF_BOTH"), os.environ.get("OF_REPLICAS")


SHARED = DeploymentActorConfig("counter", Counter, init_kwargs={"start": 10})


@serve.deployment(num_replicas=2, deployment_actors=[SHARED])
class Counts:
    def __init__(self, version: str = "v1") -> None:
        self.version = version
        self.counter = serve.get_deployment_actor("counter")

    async def __call__(self, method: str = "add") -> Any:
        return await getattr(self.counter, method).remote()

    async def look_again(self) -> int:
        result: int = await serve.get_deployment_actor("counter").add.remote()
        return result

    def code_version(self) -> str:
        return serve.get_replica_context().code_version

    def other(self) -> None:
        serve.get_deployment_actor("other")


def actors(app: str = "") -> dict[str, int]:
    """The processes of deployment actors, by their names; 0: not ready."""
    rows = state.list_actors(filters=[("state", "!=", "DEAD")])
    return {
        row.name: row.pid if row.state == "ALIVE" else 0
        for row in rows
        if row.name.startswith(f"SERVE_DEPLOYMENT_ACTOR::{app}")
    }


def test_replicas_share_them(http: httpx.Client) -> None:
    handle = serve.run(Counts.bind(), route_prefix=None)
    assert sorted(handle.remote().result() for _ in range(20)) == list(range(11, 31))
    version = handle.code_version.remote().result()
    assert handle.remote("context").result() == DeploymentActorContext("Counts", "default", "counter", version)
    assert list(actors()) == [f"SERVE_DEPLOYMENT_ACTOR::default::Counts::{version}::counter"]
    with pytest.raises(ValueError, match="'Counts' has no actor 'other'"):
        handle.other.remote().result()
    serve.run(Counts.bind(), name="second", route_prefix=None)
    assert serve.get_app_handle("second").remote().result() == 11
    serve.delete("default")
    wait_until(lambda: not actors("default::"))
    assert serve.get_app_handle("second").remote().result() == 12


def test_a_change_replaces_them(http: httpx.Client) -> None:
    handle = serve.run(Counts.bind(), route_prefix=None)
    assert handle.remote().result() == 11
    serve.run(Counts.options(num_replicas=1).bind(), route_prefix=None)
    assert handle.remote().result() == 12  # more or fewer replicas are no other version
    other = {"name": "counter", "actor_class": ray.remote(Counter), "init_args": [50]}
    serve.run(Counts.options(deployment_actors=[other]).bind(), route_prefix=None)
    wait_until(lambda: handle.remote().result() > 50)
    wait_until(lambda: len(actors()) == 1)
    serve.run(Counts.bind("v2"), route_prefix=None)
    wait_until(lambda: handle.remote().result() < 50)
    wait_until(lambda: len(actors()) == 1)


def test_one_that_fails_fails_the_deploy(http: httpx.Client, tmp_path: Path) -> None:
    class Fails:
        def __init__(self, gate: Path) -> None:
            with open(gate.with_name("attempts"), "a") as file:
                file.write("x")
            if not gate.exists():
                raise ValueError("no cache here")

        def add(self) -> str:
            return "cached"

    gate = tmp_path / "gate"
    failing = Counts.options(deployment_actors=[{"name": "counter", "actor_class": Fails, "init_args": [gate]}])
    with pytest.raises(RuntimeError, match=r"(?s)in __init__.*ValueError: no cache here"):
        serve.run(failing.bind(), route_prefix=None)
    assert (tmp_path / "attempts").read_text() == "xxx"
    assert replica_pids() == {}
    wait_until(lambda: not actors())
    handle = serve.run(Counts.bind(), route_prefix=None)
    before = actors()
    with pytest.raises(RuntimeError, match="no cache here"):
        serve.run(failing.bind(), route_prefix=None)
    assert handle.remote().result() == 11
    assert actors() == before
    gate.touch()
    serve.run(failing.bind(), route_prefix=None)
    assert handle.remote().result() == "cached"
    wait_until(lambda: len(actors()) == 1)
    # What has run, and cannot start again, is tried until it can.
    gate.unlink()
    os.kill(next(iter(actors().values())), signal.SIGKILL)
    wait_until(lambda: serve.status().applications["default"].status == "UNHEALTHY")
    assert "no cache here" in serve.status().applications["default"].deployments["Counts"].message
    gate.touch()
    wait_until(lambda: serve.status().applications["default"].status == "RUNNING")
    wait_until(lambda: len(actors()) == 1)


def test_what_it_lacks_is_said(http: httpx.Client) -> None:
    def large(cpus: int) -> Any:
        one = DeploymentActorConfig("counter", Counter, actor_options={"num_cpus": cpus})
        return Counts.options(deployment_actors=[one]).bind()

    with pytest.raises(RuntimeError, match="The actor 'counter' of deployment 'Counts' cannot start: it asks for"):
        serve.run(large(64), route_prefix=None)
    wait_until(lambda: not actors())
    serve.run(large(3), name="first", route_prefix=None)
    deploy = Deploy(large(2), route_prefix=None, wait_for_resources=True)
    said = "The actor 'counter' of deployment 'Counts' cannot start: it asks for {'num_cpus': 2}"  # not those 64
    wait_until(lambda: said in serve.status().applications["default"].deployments["Counts"].message)
    serve.delete("first")
    deploy.join(60)
    assert deploy.error is None


def test_one_that_dies_is_restarted(http: httpx.Client) -> None:
    handle = serve.run(Counts.options(num_replicas=1).bind(), route_prefix=None)
    assert handle.remote().result() == 11
    before = actors()
    os.kill(next(iter(before.values())), signal.SIGKILL)
    wait_until(lambda: actors().keys() == before.keys() and actors() != before and all(actors().values()))
    assert handle.remote().result() == 11  # by the handle that the constructor has got
    # One that somebody ends for good has a successor, with another handle.
    ray.kill(ray.get_actor(next(iter(before)), namespace="serve"))
    wait_until(lambda: actors().keys() == before.keys() and all(actors().values()))
    assert handle.look_again.remote().result() == 11
    assert replica_states() == {"Counts": {"RUNNING": 1}}


def test_a_killed_controller(http: httpx.Client) -> None:
    handle = serve.run(Counts.bind(), route_prefix=None)
    before = actors()
    kill_controller()
    assert handle.remote().result() == 11
    wait_until(lambda: serve.status().applications["default"].status == "RUNNING")
    assert actors() == before
    pid = controller_pid()
    os.kill(pid, signal.SIGKILL)
    ray.kill(ray.get_actor(next(iter(before)), namespace="serve"))
    wait_until(lambda: controller_pid() not in (0, pid))
    wait_until(lambda: actors().keys() == before.keys() and all(actors().values()))
    assert handle.look_again.remote().result() == 11
    kill_controller()
    serve.delete("default")
    wait_until(lambda: not actors())


def test_a_controller_that_is_killed_while_one_starts(http: httpx.Client, tmp_path: Path) -> None:
    class Slow:
        def __init__(self) -> None:
            with open(tmp_path / "starts", "a") as file:
                file.write("x")
            while not (tmp_path / "free").exists():
                pass

        def add(self) -> str:
            return "slow"

    slow = Counts.options(deployment_actors=[{"name": "counter", "actor_class": Slow}])
    deploy = Deploy(slow.bind(), route_prefix=None)
    wait_until(lambda: (tmp_path / "starts").exists())
    kill_controller()
    assert replica_pids() == {}
    (tmp_path / "free").touch()
    deploy.join(60)
    assert deploy.error is None
    assert serve.get_app_handle("default").remote().result() == "slow"
    assert (tmp_path / "starts").read_text() == "x"


def test_a_session_that_was_shut_down_after_its_controller_was_killed(http: httpx.Client) -> None:
    serve.run(Counts.bind(), route_prefix=None)
    ray.kill(ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve"))
    address = serve.HTTPOptions(port=0)
    wait_until(lambda: controller_pid() == 0)
    serve.shutdown()
    wait_until(lambda: not actors() and not replica_pids())
    serve.start(address)


def test_runtime_envs(http: httpx.Client) -> None:
    shared = {"env_vars": {"OF_BOTH": "replicas", "OF_REPLICAS": "replicas"}}
    own = {"env_vars": {"OF_BOTH": "actor"}}
    one = DeploymentActorConfig("counter", Counter, actor_options={"runtime_env": own})
    options = {"ray_actor_options": {"runtime_env": shared}, "deployment_actors": [one]}
    handle = serve.run(Counts.options(**options).bind(), route_prefix=None)
    assert handle.remote("variables").result() == ("actor", "replicas")


def test_only_where_there_are_any(http: httpx.Client) -> None:
    with pytest.raises(serve.exceptions.RayServeException, match="within a replica"):
        serve.get_deployment_actor("counter")
    with pytest.raises(serve.exceptions.RayServeException, match="within a deployment actor"):
        serve.get_deployment_actor_context()
    with pytest.raises(serve.exceptions.RayServeException, match="Local testing mode has no deployment actors"):
        serve.run(Counts.bind(), _local_testing_mode=True)


SHOP = """
from ray_async import serve
import elsewhere

class Basket:
    def __init__(self, first, size=1):
        self.what = first, size, elsewhere.NAME
    def get(self):
        return self.what

@serve.deployment
class Shop:
    async def __call__(self):
        return await serve.get_deployment_actor("basket").get.remote()

app = Shop.bind()
"""


def config_of(**actor: Any) -> ServeDeploySchema:
    deployments = [{"name": "Shop", "deployment_actors": [{"name": "basket", **actor}]}]
    return ServeDeploySchema.of({"applications": [{"import_path": "shopping:app", "deployments": deployments}]})


def test_in_a_config(http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shopping.py").write_text(SHOP)
    (tmp_path / "elsewhere.py").write_text("NAME = 'elsewhere'")
    monkeypatch.syspath_prepend(str(tmp_path))  # the session's workers have not this path
    config = config_of(actor_class="shopping:Basket", init_args=["egg"], init_kwargs={"size": 2})
    [built] = built_of(config)
    shown = as_options(built.deployments[0].options, "Shop")["deployment_actors"]
    assert json.loads(json.dumps(shown)) == [config.applications[0].deployments[0].deployment_actors[0].model_dump()]  # type: ignore[index]
    serve.api.deploy([built], None, wait=True)
    assert serve.get_app_handle("default").remote().result() == ("egg", 2, "elsewhere")
    for name in ("shopping", "elsewhere"):
        sys.modules.pop(name)
    for actor, words in (
        ({"actor_class": "shopping:Baskets"}, "there is no 'Baskets' in shopping"),
        ({"actor_class": 3}, r"deployments\[0\].deployment_actors\[0\].actor_class"),
        ({"actor_clas": "shopping:Basket", "actor_class": "x:y"}, "Did you mean 'actor_class'"),
        ({"actor_class": "shopping:Basket", "actor_options": {"name": "x"}}, "Serve sets them"),
    ):
        with pytest.raises(ConfigError, match=words):
            built_of(config_of(**actor))


def test_values_are_checked() -> None:
    bad: list[tuple[Any, type[Exception], str]] = [
        ("counter", TypeError, "must be a list"),
        ([{"name": "a"}, 3], TypeError, "has the fields"),
        ([{"name": "a", "actor_class": Counter, "code": b""}], TypeError, "has the fields"),
        ([{"name": "", "actor_class": Counter}], ValueError, "not empty"),
        ([{"name": "a", "actor_class": 3}], TypeError, "actor_class must be"),
        ([{"name": "a", "actor_class": "Counter"}], ValueError, "module:name"),
        ([{"name": "a", "actor_class": Counter, "init_args": 3}], TypeError, "init_args"),
        ([{"name": "a", "actor_class": Counter, "init_kwargs": 3}], TypeError, "init_kwargs"),
        ([{"name": "a", "actor_class": Counter}] * 2, ValueError, "name of its own"),
    ]
    for value, kind, words in bad:
        with pytest.raises(kind, match=words):
            Counts.options(deployment_actors=value)
    assert unique_name("a::b", "c%", "1", ":d") == "SERVE_DEPLOYMENT_ACTOR::a%3A%3Ab::c%25::1::%3Ad"
