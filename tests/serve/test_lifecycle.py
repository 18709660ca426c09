"""Deploying, updating, failing and ending, under load."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from tests.serve.controller import replica_pids, replica_states
from tests.serve.load import Load
from tests.serve.waiting import wait_until


def version(answer: str, options: dict[str, Any] | None = None, fail: str = "") -> Any:
    """An application whose answer tells its version."""

    @serve.deployment(name="Versions", **(options or {}))
    class Versions:
        def __init__(self) -> None:
            if fail == "init":
                raise ValueError(f"cannot load {answer}")

        async def __call__(self, request: Any = None) -> str:
            return answer

        async def pid(self) -> int:
            return os.getpid()

        async def __del__(self) -> None:
            with contextlib.suppress(KeyError):
                Path(os.environ["SERVE_TEST_FILE"]).touch()

    return Versions.bind()


def test_rolling_updates_and_scaling_lose_nothing(http: httpx.Client) -> None:
    handle = serve.run(version("v1", {"num_replicas": 3}))
    with Load(http, handle) as load:
        load.more()
        for name, replicas in (("v2", 3), ("v2", 1), ("v2", 4), ("v3", 2)):
            serve.run(version(name, {"num_replicas": replicas}))
            load.more()
    assert load.failures == []
    assert set(load.answers) == {"v1", "v2", "v3"}
    assert handle.remote().result() == "v3"
    wait_until(lambda: serve.status().applications["default"].deployments["Versions"].replica_states == {"RUNNING": 2})


def test_a_deploy_that_fails_leaves_the_old_version(http: httpx.Client) -> None:
    handle = serve.run(version("v1", {"num_replicas": 2}))
    with Load(http, handle) as load:
        with pytest.raises(RuntimeError, match="ValueError: cannot load v2"):
            serve.run(version("v2", {"num_replicas": 2}, fail="init"))
        load.more()
        status = serve.status().applications["default"]
        assert status.status == "DEPLOY_FAILED"
        assert "cannot load v2" in status.message
        serve.run(version("v3", {"num_replicas": 2}))
        load.more()
    assert load.failures == []
    assert set(load.answers) == {"v1", "v3"}
    assert serve.status().applications["default"].status == "RUNNING"


def test_a_first_deploy_that_fails(http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="ValueError: cannot load it"):
        serve.run(version("it", fail="init"))
    assert serve.status().applications["default"].status == "DEPLOY_FAILED"
    assert serve.run(version("that")).remote().result() == "that"


def two(answer: str, fail: str = "", third: bool = False) -> Any:
    """An application of two or three deployments; one of them may fail."""

    @serve.deployment(num_replicas=2)
    class Front:
        def __init__(self, *backs: Any) -> None:
            self.backs = backs

        async def __call__(self) -> list[str]:
            return [answer, *[await back.remote() for back in self.backs]]

    backs = [version(answer, fail=fail)]
    if third:
        backs.append(Front.options(name="Third", num_replicas=1).bind())
    return Front.bind(*backs)


def replicas() -> dict[str, dict[str, int]]:
    deployments = serve.status().applications["default"].deployments
    return {name: one.replica_states for name, one in deployments.items()}


def test_a_deploy_of_which_a_part_fails_is_taken_back(http: httpx.Client) -> None:
    handle = serve.run(two("v1"))
    with pytest.raises(RuntimeError, match="cannot load v2"):
        serve.run(two("v2", fail="init", third=True))
    wait_until(lambda: replicas() == {"Front": {"RUNNING": 2}, "Versions": {"RUNNING": 1}})
    for _ in range(10):
        assert handle.remote().result() == ["v1", "v1"]
    status = serve.status().applications["default"]
    assert status.status == "DEPLOY_FAILED"
    assert "cannot load v2" in status.message
    assert "cannot load v2" in status.deployments["Versions"].message
    serve.run(two("v3", third=True))
    assert handle.remote().result() == ["v3", "v3", ["v3"]]
    with pytest.raises(RuntimeError, match="cannot load v4"):
        serve.run(two("v4", fail="init"))
    assert handle.remote().result() == ["v3", "v3", ["v3"]]


def test_a_first_deploy_of_which_a_part_fails_leaves_no_replica(http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="cannot load v1"):
        serve.run(two("v1", fail="init"))
    wait_until(lambda: replicas() == {"Front": {}, "Versions": {}})
    wait_until(lambda: replica_pids() == {})
    assert http.get("/").status_code == 404
    assert serve.run(two("v2")).remote().result() == ["v2", "v2"]


def test_a_user_config_that_some_replicas_refuse_is_taken_back(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(num_replicas=3)
    class Some:
        def reconfigure(self, config: str) -> None:
            if config == "b":
                try:
                    (tmp_path / "refused").touch(exist_ok=False)
                except FileExistsError:
                    pass
                else:
                    raise ValueError("the first refuses")
            self.config = config

        async def __call__(self) -> str:
            return self.config

    handle = serve.run(Some.options(user_config="a").bind())
    with pytest.raises(RuntimeError, match="the first refuses"):
        serve.run(Some.options(user_config="b").bind())
    wait_until(lambda: {handle.remote().result() for _ in range(30)} == {"a"})
    serve.run(Some.options(user_config="b").bind())
    assert {handle.remote().result() for _ in range(30)} == {"b"}


def test_what_the_node_has_not_is_said(http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match=r"'Versions' cannot start: it asks for {'num_gpus': 0.5}, and the node has"):
        serve.run(version("it", {"ray_actor_options": {"num_gpus": 0.5}}))


def test_what_the_node_has_not_can_be_waited_for(http: httpx.Client) -> None:
    app = version("it", {"ray_actor_options": {"num_gpus": 0.5}})
    failures: list[BaseException] = []

    def deploy() -> None:
        try:
            serve.run(app, wait_for_resources=True)
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=deploy)
    thread.start()
    wait_until(lambda: "asks for {'num_gpus': 0.5}" in _message())
    assert serve.status().applications["default"].status == "DEPLOYING"
    assert thread.is_alive()
    serve.delete("default")
    thread.join()
    assert "was deleted" in str(failures[0])


def _message() -> str:
    application = serve.status().applications.get("default")
    return "" if application is None else application.deployments["Versions"].message


def test_a_killed_replica_is_replaced(http: httpx.Client) -> None:
    handle = serve.run(version("v1", {"num_replicas": 2}))
    pid = handle.pid.remote().result()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in _pids(handle) and len(_pids(handle)) == 2)
    assert http.get("/").text == "v1"


def test_replicas_that_are_asked_to_end_lose_nothing(http: httpx.Client, tmp_path: Path) -> None:
    done = tmp_path / "done"
    actor = {"runtime_env": {"env_vars": {"SERVE_TEST_FILE": str(done)}}}
    handle = serve.run(version("v1", {"num_replicas": 3, "ray_actor_options": actor}))
    with Load(http, handle) as load:
        for _ in range(3):
            load.more()
            pids = replica_pids()
            asked = min(pids.values())
            os.kill(asked, signal.SIGTERM)
            wait_until(lambda asked=asked: asked not in replica_pids().values())  # type: ignore[misc]
            assert done.exists()
            done.unlink()
            wait_until(lambda: replica_states() == {"Versions": {"RUNNING": 3}})
        load.more()
    assert load.failures == []


def _pids(handle: Any) -> set[int]:
    found = set()
    for _ in range(20):
        with contextlib.suppress(ray.exceptions.RayActorError):
            found.add(handle.pid.remote().result())
    return found


def test_user_config_changes_without_new_replicas(http: httpx.Client) -> None:
    @serve.deployment
    class Suffix:
        def reconfigure(self, config: dict[str, Any]) -> None:
            if config.get("fail"):
                raise ValueError("cannot reconfigure")
            self.suffix = config["suffix"]

        async def __call__(self) -> tuple[str, int]:
            return self.suffix, os.getpid()

    handle = serve.run(Suffix.options(user_config={"suffix": "1"}).bind())
    suffix, pid = handle.remote().result()
    assert suffix == "1"
    serve.run(Suffix.options(user_config={"suffix": "2"}, max_ongoing_requests=9).bind())
    assert handle.remote().result() == ("2", pid)
    with pytest.raises(RuntimeError, match="cannot reconfigure"):
        serve.run(Suffix.options(user_config={"fail": True}).bind())
    assert handle.remote().result() == ("2", pid)
    serve.run(Suffix.options(user_config={"suffix": "3"}).bind())
    assert handle.remote().result() == ("3", pid)


def test_user_config_without_reconfigure(http: httpx.Client) -> None:
    @serve.deployment(user_config={"a": 1})
    class Plain: ...

    with pytest.raises(RuntimeError, match="no method `reconfigure`"):
        serve.run(Plain.bind())

    @serve.deployment(user_config={"a": 1})
    def function() -> str:
        return "function"

    with pytest.raises(RuntimeError, match="no method `reconfigure`"):
        serve.run(function.bind())


def test_a_replica_that_fails_its_checks_is_replaced(http: httpx.Client, tmp_path: Path) -> None:
    flag = tmp_path / "sick"

    @serve.deployment(health_check_period_s=0.05)
    class Checked:
        def __init__(self) -> None:
            self.well = not flag.exists()
            flag.touch()

        def check_health(self) -> None:
            if self.well:  # the first replica has begun well, and is sick from now on
                raise RuntimeError("sick")

        async def __call__(self) -> bool:
            return self.well

    handle = serve.run(Checked.bind())
    wait_until(lambda: handle.remote().result() is False)


@pytest.mark.parametrize("method", ["check_health", "reconfigure"])
def test_sync_methods_do_not_hold_up_requests(http: httpx.Client, tmp_path: Path, method: str) -> None:
    begun, gate = tmp_path / "begun", tmp_path / "gate"

    def block(*_: Any) -> None:
        if serve.get_replica_context().servable_object.started:
            begun.touch()
            while not gate.exists():
                time.sleep(0.01)

    @serve.deployment(health_check_period_s=0.05)
    class Blocks:
        started = False

        def reconfigure(self, config: str) -> None:
            if method == "reconfigure":
                block()

        def check_health(self) -> None:
            if method == "check_health":
                block()

        async def __call__(self) -> str:
            self.started = True
            return "free"

    handle = serve.run(Blocks.options(user_config="a").bind())
    assert handle.remote().result() == "free"
    update = threading.Thread(target=serve.run, args=(Blocks.options(user_config="b").bind(),))
    update.start()
    wait_until(begun.exists)
    assert handle.remote().result() == "free"
    gate.touch()
    update.join()


def test_a_sync_constructor_may_call_handles(http: httpx.Client) -> None:
    @serve.deployment
    class Eager:
        def __init__(self, back: Any) -> None:
            self.said = back.remote().result()

        async def __call__(self) -> str:
            return f"said {self.said}"

    assert serve.run(Eager.bind(version("v1"))).remote().result() == "said v1"


def test_deleting_finishes_requests_and_objects(http: httpx.Client, tmp_path: Path) -> None:
    done = tmp_path / "done"
    options = {"ray_actor_options": {"runtime_env": {"env_vars": {"SERVE_TEST_FILE": str(done)}}}}
    serve.run(version("v1", options))
    assert not done.exists()
    serve.delete("default")
    assert done.exists()
    assert serve.status().applications == {}
