"""init, shutdown, automatic connection, and the state of the cluster."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import current_session, get_session
from ray_async.engine.init_options import InitOptions
from ray_async.exceptions import RaySystemError
from ray_async.job_config import JobConfig
from ray_async.logging_config import LoggingConfig
from tests.api.fake_session import FakeSession

Started = list[tuple[InitOptions, FakeSession]]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    """Sessions that were started, with their options."""
    found: Started = []

    def start_session(options: InitOptions) -> FakeSession:
        found.append((options, FakeSession()))
        return found[-1][1]

    module = ModuleType("ray_async.runtime.start.session_start")
    module.start_session = start_session
    monkeypatch.setitem(sys.modules, "ray_async.runtime.start.session_start", module)
    for name in ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_ENABLE_AUTO_CONNECT", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(current_session, "session", None)
    monkeypatch.setattr(current_session, "forked", False)
    yield found
    ray.shutdown()


def test_init_and_shutdown(started: Started) -> None:
    assert not ray.is_initialized()
    with ray.init(num_cpus=2, resources={"x": 1}, _temp_dir="/t", _system_config={"a": 1}) as context:
        assert ray.is_initialized()
        assert context.address_info["address"] == context["address"] == "local"
        assert context.dashboard_url is None
        assert context.ray_version == ray.__version__
    options, session = started[0]
    assert session.closed and not ray.is_initialized()
    assert (options.num_cpus, options.resources, options.temp_dir) == (2, {"x": 1}, "/t")
    assert options.system_config == {"a": 1}
    assert options.log_to_driver
    ray.shutdown()


def test_second_init(started: Started) -> None:
    ray.init()
    with pytest.raises(RuntimeError, match="twice"):
        ray.init()
    assert ray.init(ignore_reinit_error=True).address_info["address"] == "local"
    assert len(started) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cpus": 1}, RuntimeError, "Unknown keyword argument"),
        ({"num_cpu": 1}, RuntimeError, "num_cpu. Did you mean 'num_cpus'?"),
        ({"local_mode": True}, RuntimeError, "local_mode"),
        ({"storage": "x"}, RuntimeError, "storage"),
        ({"allow_multiple": True}, RuntimeError, "allow_multiple"),
        ({"_system_config": "x"}, TypeError, "_system_config"),
        ({"_temp_dir": "relative"}, ValueError, "absolute"),
        ({"enable_resource_isolation": True}, ValueError, "resource isolation .* is not available"),
        ({"system_reserved_memory": 1}, ValueError, "resource isolation .* is not available"),
        ({"namespace": ""}, ValueError, "not a valid namespace"),
        ({"namespace": 1}, TypeError, "namespace"),
        ({"num_cpus": -1}, ValueError, "negative"),
        ({"num_cpus": "x"}, ValueError, "num_cpus must be a number, but is 'x'"),
        ({"object_store_memory": [1]}, ValueError, "object_store_memory must be a number"),
        ({"logging_config": {}}, TypeError, "logging_config must be a LoggingConfig"),
        ({"resources": 5}, TypeError, "resources must be a dict"),
        ({"labels": "a"}, TypeError, "labels must be a dict"),
        ({"resources": {"CPU": 1}}, ValueError, "num_cpus"),
        ({"labels": {"??": "x"}}, ValueError, "label"),
        ({"address": "auto", "num_cpus": 1}, ValueError, "num_cpus"),
        ({"address": "1.2.3.4:5", "_node_name": "n"}, ValueError, "node_name"),
        ({"address": 5}, TypeError, "address"),
    ],
)
def test_init_refuses(started: Started, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ray.init(**arguments)
    assert started == []


@pytest.mark.parametrize("prefix", ["RAY_", "RAY_ASYNC_"])
def test_environment(started: Started, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv(f"{prefix}ADDRESS", "auto")
    monkeypatch.setenv(f"{prefix}NAMESPACE", "n")
    with pytest.raises(ValueError, match="attaching"):
        ray.init(num_cpus=1)
    ray.init()
    assert (started[0][0].address, started[0][0].namespace) == ("auto", "n")
    ray.shutdown()
    ray.init("local", num_cpus=1, namespace="m")
    assert (started[1][0].address, started[1][0].namespace) == ("local", "m")


def test_job_environment_is_merged(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    injected = {"runtime_env": {"env_vars": {"A": "1"}, "working_dir": "w"}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(injected))
    ray.init(runtime_env={"env_vars": {"B": "2"}})
    assert started[0][0].runtime_env == {"env_vars": {"A": "1", "B": "2"}, "working_dir": "w"}
    ray.shutdown()
    with pytest.raises(ValueError, match=r"env_vars\[A\]"):
        ray.init(runtime_env={"env_vars": {"A": "3"}})
    monkeypatch.setenv("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")
    ray.init(runtime_env={"env_vars": {"A": "3"}})
    assert started[1][0].runtime_env == {"env_vars": {"A": "3"}, "working_dir": "w"}


def test_connects_when_needed(started: Started) -> None:
    ray.put(1)
    ray.put(2)
    assert len(started) == 1


@pytest.mark.parametrize("prefix", ["RAY_", "RAY_ASYNC_"])
def test_automatic_connection_can_be_forbidden(started: Started, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv(f"{prefix}ENABLE_AUTO_CONNECT", "0")
    with pytest.raises(RaySystemError, match="init"):
        ray.put(1)
    with pytest.raises(RaySystemError, match="init"):
        ray.remote(lambda: 1).remote()
    assert started == []


def test_forked_child_does_not_use_the_parents_session(started: Started) -> None:
    ray.init()
    child = os.fork()
    if child == 0:  # leaves at once, whatever happens: the parent's test run must not go on here
        status = 1
        try:
            get_session()
        except RaySystemError:
            status = 7 if not ray.is_initialized() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert ray.is_initialized()


def test_sigterm_runs_exit_handlers(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    monkeypatch.setattr(current_session, "signalled", False)
    try:
        ray.init()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_cluster_state(started: Started, tmp_path: Path) -> None:
    for question in (ray.nodes, ray.cluster_resources, ray.available_resources):
        with pytest.raises(RaySystemError, match="init"):
            question()
    with pytest.raises(RuntimeError, match="init"):
        ray.timeline()
    ray.init()
    assert ray.nodes()[0]["Alive"]
    assert (ray.cluster_resources(), ray.available_resources()) == ({"CPU": 2.0}, {"CPU": 1.0})
    file = tmp_path / "trace.json"
    assert ray.timeline(str(file)) is None
    assert json.loads(file.read_text()) == ray.timeline()


def test_gpu_ids(session: FakeSession) -> None:
    assert ray.get_gpu_ids() == []
    session.now = session.now._replace(accelerator_ids={"GPU": ["0", "2"]})
    assert ray.get_gpu_ids() == [0, 2]
    session.now = session.now._replace(accelerator_ids={"GPU": ["MIG-1"]})
    assert ray.get_gpu_ids() == ["MIG-1"]


def test_job_config() -> None:
    config = JobConfig(ray_namespace="n", default_actor_lifetime="detached")
    config.set_metadata("k", "v")
    assert (config.ray_namespace, config.metadata) == ("n", {"k": "v"})
    assert JobConfig.from_json({"runtime_env": {"a": 1}, "other": 2}).runtime_env == {"a": 1}
    with pytest.raises(ValueError, match="default_actor_lifetime"):
        JobConfig(default_actor_lifetime="long")


def test_logging_config() -> None:
    config = LoggingConfig(encoding="JSON", log_level="debug", additional_log_standard_attrs=["name"])
    assert config == LoggingConfig("JSON", "debug", ["name"])
    bad: list[dict[str, Any]] = [{"encoding": "XML"}, {"log_level": "LOUD"}, {"additional_log_standard_attrs": ["x"]}]
    for arguments in bad:
        with pytest.raises(ValueError):
            LoggingConfig(**arguments)


def test_quantities_that_are_no_numbers(started: Started) -> None:
    for name in ("num_cpus", "num_gpus", "object_store_memory"):
        with pytest.raises(ValueError, match=f"{name} must be a number, but is 'x'"):
            options: dict[str, Any] = {name: "x"}
            ray.init(**options)
    assert started == []
