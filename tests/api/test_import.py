"""What importing the package costs, and what it offers."""

import subprocess
import sys
from importlib import import_module

import pytest

import ray_async as ray

HEAVY = {
    "asyncio",
    "cloudpickle",
    "dataclasses",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "numpy",
    "pickle",
    "uvloop",
}
OPTIONAL = {"serve", "tune", "data", "util", "cluster_utils", "runtime_env"}


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_is_light() -> None:
    loaded = loaded_after("import ray_async")
    assert "ray_async.api.remote_function" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded for part in OPTIONAL if name.startswith(f"ray_async.{part}")}


def test_decorating_is_light() -> None:
    statement = "import ray_async as r; exec('@r.remote\\ndef f(): ...\\n@r.remote\\nclass A:\\n  def g(self): ...')"
    assert not loaded_after(statement) & HEAVY


def test_every_public_name_is_there() -> None:
    for name in ray.__all__:
        assert getattr(ray, name) is not None, name
    assert isinstance(ray.__all__, tuple)
    assert set(ray.__all__) <= set(dir(ray))


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = ray.absent


def test_modules_that_programs_name() -> None:
    assert ray.actor.ActorHandle is ray.ActorHandle
    assert ray.remote_function.RemoteFunction is ray.RemoteFunction
    assert ray.job_config.JobConfig.__name__ == "JobConfig"
    assert ray.ObjectID is ray.ObjectRef
    assert (ray.SCRIPT_MODE, ray.WORKER_MODE, ray.Language.PYTHON.name) == (0, 1, "PYTHON")


@pytest.mark.parametrize(
    "module",
    [
        "actor",
        "api.objects",
        "api.lifecycle",
        "spec.task_options",
        "spec.signature",
        "spec.descriptors",
        "remote_function",
        "engine.current",
    ],
)
def test_modules_say_what_they_export(module: str) -> None:
    loaded = import_module(f"ray_async.{module}")
    assert isinstance(loaded.__all__, tuple)
    assert all(hasattr(loaded, name) for name in loaded.__all__)
