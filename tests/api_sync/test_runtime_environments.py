"""Environments of jobs, tasks and actors, end to end."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray


@pytest.fixture(scope="module", autouse=True)
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A job with a directory and a variable."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "data.txt").write_text("of the job")
    (folder / "job_module.py").write_text("NAME = 'job'\n")
    environment = {"env_vars": {"OF_JOB": "job"}, "working_dir": str(folder)}
    ray.init(num_cpus=4, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


@ray.remote
def variables(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


@ray.remote
def nested(*names: str) -> Any:
    return ray.get(variables.remote(*names))


def test_variables_of_job_task_and_actor() -> None:
    assert ray.get(variables.remote("OF_JOB", "OF_TASK")) == ["job", None]
    own: Any = {"env_vars": {"OF_TASK": "task"}}
    assert ray.get(variables.options(runtime_env=own).remote("OF_JOB", "OF_TASK")) == ["job", "task"]
    assert ray.get(nested.options(runtime_env=own).remote("OF_JOB", "OF_TASK")) == ["job", "task"]
    assert ray.get(variables.remote("OF_JOB", "OF_TASK")) == ["job", None]

    @ray.remote(runtime_env={"env_vars": {"OF_ACTOR": "actor", "OF_JOB": "${OF_JOB}!"}})
    class Actor:
        def variables(self) -> Any:
            return [os.environ["OF_JOB"], os.environ["OF_ACTOR"], ray.get(variables.remote("OF_ACTOR"))]

    assert ray.get(Actor.remote().variables.remote())[1:] == ["actor", ["actor"]]


def test_directory_and_modules(tmp_path: Path) -> None:
    package = tmp_path / "sent_package"
    package.mkdir()
    (package / "__init__.py").write_text("VALUE = 8\n")

    @ray.remote
    def look() -> tuple[str, str]:
        return Path("data.txt").read_text(), importlib.import_module("job_module").NAME

    @ray.remote(runtime_env={"py_modules": [str(package)]})
    def use() -> int:
        value: int = importlib.import_module("sent_package").VALUE
        return value

    assert ray.get(look.remote()) == ("of the job", "job")
    assert ray.get(use.remote()) == 8


def test_variables_that_are_read_when_a_program_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "on_path.py").write_text("VALUE = 3\n")
    environment = {
        "env_vars": {"PYTHONPATH": f"{tmp_path}:${{PYTHONPATH}}", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "3"}
    }

    @ray.remote(runtime_env=environment)
    def look() -> Any:
        found = importlib.import_module("on_path").VALUE
        return [sys.flags.hash_randomization, os.environ["OMP_NUM_THREADS"], found, os.environ["OF_JOB"]]

    assert ray.get([look.remote()]) == [[0, "3", 3, "job"]]


def test_an_environment_that_fails_says_so() -> None:
    broken: Any = {"worker_process_setup_hook": "no_such_module.hook"}
    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="no_such_module"):
        ray.get(variables.options(runtime_env=broken).remote("OF_JOB"))

    @ray.remote(runtime_env=broken)
    class Actor:
        def method(self) -> None:
            """Never runs."""

    with pytest.raises(ray.exceptions.RuntimeEnvSetupError, match="no_such_module"):
        ray.get(Actor.remote().method.remote())
    assert ray.get(variables.remote("OF_JOB")) == ["job"]
