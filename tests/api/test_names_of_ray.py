"""Names that programs written for Ray's core use, beside those of the documented API."""

import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.air import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray_async.util.joblib.backend import RayBackend
from ray_async.widgets import Template, make_table_html_repr


def test_submodules_are_attributes_without_an_import() -> None:
    code = """
import ray_async as ray
for name in ("util.scheduling_strategies", "experimental.tqdm_ray", "autoscaler.sdk", "_private.worker",
             "dashboard.utils", "util.metrics", "air.config", "_raylet", "util.joblib", "experimental.internal_kv"):
    value = ray
    for part in name.split("."):
        value = getattr(value, part)
    assert value.__name__ == "ray_async." + name, (name, value)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("package", ["ray_async", "ray_async.util", "ray_async._private", "ray_async.experimental"])
def test_an_absent_submodule_is_an_attribute_error(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = module.nothing
    assert not hasattr(module, "__wrapped__")


def test_an_absent_part_is_named() -> None:
    with pytest.raises(AttributeError, match="not part of this release"):
        _ = ray.rllib


def test_a_broken_submodule_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_part.py").write_text("import no_such_module\n")
    monkeypatch.setattr(ray, "__path__", [*ray.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = ray.broken_part


def test_the_logger() -> None:
    assert ray.logger is logging.getLogger("ray_async")


def test_the_class_behind_an_actor_class() -> None:
    class Plain: ...

    actor_class = ray.remote(Plain)
    assert actor_class.__ray_actor_class__ is Plain
    assert actor_class.__ray_metadata__.modified_class is Plain
    assert ray.remote(num_cpus=0)(Plain).options(num_cpus=2).__ray_actor_class__ is Plain


def test_the_backend_of_joblib() -> None:
    assert importlib.import_module("ray_async.util.joblib.ray_backend").RayBackend is RayBackend


def test_the_version_of_the_api() -> None:
    assert ray.RAY_VERSION.split(".") >= ["2", "60"] and ray.__version__ != ray.RAY_VERSION


def test_settings_of_runs() -> None:
    config = RunConfig(name="run", failure_config=FailureConfig(max_failures=2), checkpoint_config=None)
    assert config.checkpoint_config == CheckpointConfig()
    assert ScalingConfig(num_workers=2, use_gpu=True).num_workers == 2
    for make in (
        lambda: FailureConfig(max_failures=1, fail_fast=True),
        lambda: FailureConfig(fail_fast="sometimes"),
        lambda: CheckpointConfig(num_to_keep=0),
        lambda: CheckpointConfig(checkpoint_score_order="best"),
        lambda: CheckpointConfig(checkpoint_frequency=-1),
        lambda: ScalingConfig(resources_per_worker={"GPU": 1}),
        lambda: ScalingConfig(use_gpu=True, resources_per_worker={"GPU": 0}),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(DeprecationWarning, match="storage_path"):
        RunConfig(local_dir="results")


def test_tables_and_templates(tmp_path: Path) -> None:
    class Shown:
        def __init__(self) -> None:
            self.name, self._hidden = "<a & b>", 1

    table = make_table_html_repr(Shown(), title="Facts", max_height="9em")
    assert "<h3>Facts</h3>" in table and "&lt;a &amp; b&gt;" in table and "9em" in table and "hidden" not in table
    with pytest.raises(TypeError):
        make_table_html_repr(1)
    (tmp_path / "page.html").write_text("<p>{{ title }}</p>{{body}}{{ rest }}")
    template = Template(tmp_path / "page.html")
    assert template.render(title="T", body="<b>") == "<p>T</p><b>"
    with pytest.raises(ValueError, match="no place for colour"):
        template.render(colour="red")
