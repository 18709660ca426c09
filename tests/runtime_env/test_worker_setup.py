import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ray_async.exceptions import RuntimeEnvSetupError
from ray_async.runtime_env.packaging import package_env
from ray_async.runtime_env.worker_setup import apply, environment_key, expand_variables, needs_exec


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    """This process as a worker: its directory, path and variables come back after the test."""
    monkeypatch.chdir(os.getcwd())
    monkeypatch.setattr(sys, "path", list(sys.path))
    return {"PATH": "/bin"}


def test_variables_are_expanded(worker: dict[str, str], tmp_path: Path) -> None:
    apply({"env_vars": {"PATH": "/opt:${PATH}", "A": "1", "B": "${NOTHING}x"}}, tmp_path, worker)
    assert worker == {"PATH": "/opt:/bin", "A": "1", "B": "x"}
    assert expand_variables({"A": "$A ${A"}, {"A": "1"}) == {"A": "$A ${A"}


def test_working_dir_and_modules(worker: dict[str, str], tmp_path: Path) -> None:
    project, module = tmp_path / "project", tmp_path / "some_module_7.py"
    project.mkdir()
    (project / "data.txt").write_text("data")
    module.write_text("VALUE = 7\n")
    session = tmp_path / "session"
    env = package_env({"working_dir": str(project), "py_modules": [str(module)]}, session)
    apply(env, session, worker)
    assert Path("data.txt").read_text() == "data"
    assert sys.path[0] == os.getcwd()
    assert __import__("some_module_7").VALUE == 7
    assert worker["PYTHONPATH"].split(os.pathsep) == sys.path[:2]
    del sys.modules["some_module_7"]


def test_the_hook_runs_last(worker: dict[str, str], tmp_path: Path) -> None:
    seen: list[str] = []
    env = package_env({"env_vars": {"A": "1"}, "worker_process_setup_hook": _append_marker}, tmp_path)
    apply(env, tmp_path, worker)
    assert os.environ.pop("TEST_HOOK_RAN") == "1"
    with pytest.raises(RuntimeEnvSetupError, match="no_such_module"):
        apply({"worker_process_setup_hook": "no_such_module.hook"}, tmp_path, worker)
    assert seen == []


def _append_marker() -> None:
    os.environ["TEST_HOOK_RAN"] = "1"


@pytest.mark.parametrize("field", ["pip", "uv", "conda", "container", "image_uri", "py_executable"])
def test_what_is_not_available_says_so(worker: dict[str, str], tmp_path: Path, field: str) -> None:
    with pytest.raises(RuntimeEnvSetupError, match=f"'{field}' is not available yet"):
        apply({field: "x"}, tmp_path, worker)


def test_unknown_fields_and_unpackaged_paths(worker: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RuntimeEnvSetupError, match=r"no field 'env_var'.*env_vars"):
        apply({"env_var": {}}, tmp_path, worker)
    with pytest.raises(RuntimeEnvSetupError, match="not packaged"):
        apply({"working_dir": str(tmp_path)}, tmp_path, worker)


def test_nothing_to_do(worker: dict[str, str], tmp_path: Path) -> None:
    apply(None, tmp_path, worker)
    apply({}, tmp_path, worker)
    assert worker == {"PATH": "/bin"}


def test_keys_tell_environments_apart() -> None:
    assert environment_key(None) == environment_key({}) == environment_key({"config": {}, "env_vars": {}}) == ""
    first = environment_key({"env_vars": {"A": "1", "B": "2"}, "config": {"eager_install": False}})
    assert first == environment_key({"env_vars": {"B": "2", "A": "1"}})
    assert first != environment_key({"env_vars": {"A": "1"}})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LD_PRELOAD", True), ("PYTHONPATH", True), ("OMP_NUM_THREADS", True), ("MODEL", False), ("MY_LD_X", False)],
)
def test_what_is_read_at_start_needs_a_fresh_process(name: str, expected: bool) -> None:
    assert needs_exec({"env_vars": {name: "1"}}) is expected
    assert not needs_exec(None)
    assert needs_exec({"py_executable": "python3.12"})


SLOTS_IN_HOOK = """
import os
import ray_async as ray

class Pair:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left, self.right = left, right

KEPT = Pair(1, 2)

def hook():
    os.environ["SUM"] = str(KEPT.left + KEPT.right)

class Failed(Exception):
    pass

@ray.remote
def total():
    return os.environ["SUM"]

@ray.remote
def fails():
    raise Failed(Pair(3, 4))

env = {"worker_process_setup_hook": hook}
with ray.init(num_cpus=1, runtime_env=env, log_to_driver=False):
    print(ray.get(total.remote(), timeout=60))
    print(ray.get(total.options(runtime_env={**env, "env_vars": {"A": "1"}}).remote(), timeout=60))
    try:
        ray.get(fails.remote(), timeout=60)
    except Failed as error:
        print(error.cause.args[0].right)
"""


def test_classes_of_the_program_with_slots_come_along(tmp_path: Path) -> None:
    """In a hook, and in an error."""
    (tmp_path / "program.py").write_text(SLOTS_IN_HOOK)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.stdout == "3\n3\n4\n", done.stderr
