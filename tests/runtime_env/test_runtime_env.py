import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from ray_async.runtime_env import RuntimeEnv, RuntimeEnvConfig
from ray_async.runtime_env.runtime_env import merge_runtime_env


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"env_vars": {"A": 1}}, TypeError),
        ({"env_vars": ["A"]}, TypeError),
        ({"env_vars": {"A=B": "1"}}, ValueError),
        ({"working_dir": 1}, TypeError),
        ({"working_dir": "/does/not/exist"}, ValueError),
        ({"working_dir": "unknown://abc"}, ValueError),
        ({"working_dir": "s3://bucket/file"}, ValueError),
        ({"working_dir": __file__}, ValueError),
        ({"py_modules": "."}, TypeError),
        ({"py_modules": [1]}, TypeError),
        ({"py_modules": ["/does/not/exist"]}, ValueError),
        ({"excludes": "*.bin"}, TypeError),
        ({"excludes": ["a", 1]}, TypeError),
        ({"pip": 1}, TypeError),
        ({"pip": "../bad_path.txt"}, ValueError),
        ({"pip": {"version": "1"}}, ValueError),
        ({"pip": ["a"], "conda": "base"}, ValueError),
        ({"pip": ["a"], "uv": ["a"]}, ValueError),
        ({"conda": True}, TypeError),
        ({"conda": "../missing.yaml"}, ValueError),
        ({"container": {"image": "x"}, "working_dir": "."}, ValueError),
        ({"image_uri": "x", "pip": ["a"]}, ValueError),
        ({"worker_process_setup_hook": 3}, TypeError),
        ({"worker_process_setup_hook": "hook"}, ValueError),
        ({"config": {"setup_timeout_seconds": "10"}}, TypeError),
        ({"config": {"setup_timeout_seconds": 0}}, ValueError),
        ({"config": {"setup_timeout": 10}}, ValueError),
        ({"config": 3}, TypeError),
    ],
)
def test_bad_fields(fields: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        RuntimeEnv(**fields)


def test_empty_and_missing_fields_are_left_out() -> None:
    assert RuntimeEnv(pip=None, excludes=[], env_vars={}, py_modules=[]) == {}
    env = RuntimeEnv(env_vars={"A": "1"})
    env.set("env_vars", None)
    env["working_dir"] = "https://example.org/a.zip"
    assert env == {"working_dir": "https://example.org/a.zip"}
    with pytest.raises(TypeError):
        env["working_dir"] = ["a"]


def test_forms_are_made_equal(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("requests==1.0.0\n\n# a comment\nattrs\n")
    assert RuntimeEnv(pip=str(requirements))["pip"] == {"packages": ["requests==1.0.0", "attrs"], "pip_check": False}
    assert RuntimeEnv(uv=["a", "a"])["uv"] == {"packages": ["a"], "uv_check": False}
    assert RuntimeEnv(py_modules=[json])["py_modules"] == [str(Path(json.__file__).parent)]


def test_config_defaults() -> None:
    assert RuntimeEnvConfig() == {"setup_timeout_seconds": 600, "eager_install": True, "log_files": []}
    assert RuntimeEnvConfig(setup_timeout_seconds=-1)["setup_timeout_seconds"] == -1
    assert RuntimeEnv(config={"eager_install": False})["config"]["setup_timeout_seconds"] == 600
    with pytest.raises(ValueError):
        RuntimeEnvConfig(setup_timeout_seconds=-2)


def test_serialization_ignores_the_order_of_fields() -> None:
    first = RuntimeEnv(pip=["requests"], env_vars={"a": "1", "b": "2"})
    second = RuntimeEnv(env_vars={"b": "2", "a": "1"}, pip=["requests"])
    assert first.serialize() == second.serialize()
    for other in (RuntimeEnv.deserialize(first.serialize()), pickle.loads(pickle.dumps(first)), copy.deepcopy(first)):
        assert other == second
        assert type(other) is RuntimeEnv
    assert type(first.to_dict()) is dict


def test_a_child_inherits_and_overrides() -> None:
    parent = RuntimeEnv(env_vars={"A": "1", "B": "1"}, working_dir=".", pip=["x"])
    child = {"env_vars": {"B": "2", "C": "3"}, "pip": None}
    assert merge_runtime_env(parent, child) == {"env_vars": {"A": "1", "B": "2", "C": "3"}, "working_dir": "."}
    assert merge_runtime_env(parent, None) == parent
    assert merge_runtime_env(None, child) == {"env_vars": {"B": "2", "C": "3"}}
    assert merge_runtime_env(None, None) == {}
    assert "env_vars" not in merge_runtime_env(parent, {"env_vars": None})
    assert parent["env_vars"] == {"A": "1", "B": "1"}
