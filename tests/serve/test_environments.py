"""Environments that a config or a call names: of an application's replicas, and of the controller."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve import api
from ray_async.serve.application import ConfigSettings, build, with_environment
from ray_async.serve.names import CONTROLLER, NAMESPACE
from tests.serve.controller import kill_controller
from tests.serve.preloaded import PRELOADED


@pytest.fixture
def node() -> Iterator[None]:
    """A node without Serve."""
    ray.init(num_cpus=2, log_to_driver=False, preload=PRELOADED)
    yield
    serve.shutdown()
    ray.shutdown()


def environment(names: list[str]) -> list[str | None]:
    return [os.environ.get(name) for name in names]


OWN = {"runtime_env": {"env_vars": {"OWN": "deployment", "BOTH": "deployment"}}}
variables = serve.deployment(environment).options(name="variables", ray_actor_options=OWN)


def of_replica_of(handle: Any) -> Any:
    """The controller's variable in a replica, which has it as what an actor starts has that actor's environment."""
    return handle.remote(["OF_CONTROLLER"]).result(timeout_s=60)[0]


def test_of_an_application(node: None) -> None:
    built = build(variables.bind(), "default", None)
    built = with_environment(replace(built, declared=True), {"env_vars": {"BELOW": "app", "BOTH": "app"}})
    api.deploy([built], None, wait=True)
    handle = serve.get_app_handle("default")
    assert handle.remote(["OWN", "BOTH", "BELOW"]).result(timeout_s=60) == ["deployment", "deployment", "app"]


def test_of_the_controller(node: None, caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"runtime_env": {"env_vars": {"OF_CONTROLLER": "yes"}}}
    handle = serve.run(variables.bind(), route_prefix=None, controller_options=options)
    assert of_replica_of(handle) == "yes"
    controller = ray.get_actor(CONTROLLER, namespace=NAMESPACE)
    assert ray.get(controller.differs.remote(serve.ControllerOptions(**options))) == ""
    kill_controller()
    handle = serve.run(variables.options(num_replicas=1, name="other").bind(), name="other", route_prefix=None)
    assert of_replica_of(handle) == "yes"
    with caplog.at_level(logging.WARNING):
        serve.start(proxy_location="Disabled", controller_options=options)
        assert "controller_options" not in caplog.text
        serve.start(proxy_location="Disabled")
        assert "controller_options" not in caplog.text
        serve.start(proxy_location="Disabled", controller_options={})
        assert "ignored are controller_options" in caplog.text


def test_of_the_controller_by_a_config(node: None) -> None:
    options = serve.ControllerOptions(runtime_env={"env_vars": {"OF_CONTROLLER": "yes"}})
    built = replace(build(variables.bind(), "default", None), declared=True)
    api.deploy([built], None, wait=True, settings=ConfigSettings(without_http=True, controller=options))
    controller = ray.get_actor(CONTROLLER, namespace=NAMESPACE)
    assert ray.get(controller.differs.remote(options)) == ""
    assert of_replica_of(serve.get_app_handle("default")) == "yes"


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"num_cpus": 1}, TypeError, "may have runtime_env, not num_cpus"),
        (3, TypeError, "must be ControllerOptions or a dict"),
        ({"runtime_env": 3}, TypeError, "must be a dict"),
        ({"runtime_env": {"working_dir": ".", "pip": []}}, ValueError, "env_vars only, not pip, working_dir"),
        ({"runtime_env": {"env_vars": {"A": 1}}}, TypeError, "dict of strings"),
    ],
)
def test_what_is_not_allowed(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        serve.start(controller_options=options)
    with pytest.raises(error, match=text):
        serve.run(variables.bind(), controller_options=options)
    assert not ray.is_initialized()
