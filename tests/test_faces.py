"""Faces: import paths that programs use, whose modules only pass on what is at home elsewhere."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import ray_async as ray

ROOT = Path(ray.__file__).parent
# Import path, and where what it passes on is at home.
FACES = {
    "actor": "api.actor",
    "aio": "api.aio",
    "client_builder": "api.client_builder",
    "cluster_utils": "local_cluster.cluster",
    "job_config": "spec.job_config",
    "logging_config": "spec.logging_config",
    "remote_function": "api.remote_function",
    "runtime_context": "api.runtime_context",
    "types": "api.object_ref",
}


@pytest.mark.parametrize("face", FACES)
def test_a_face_passes_on_what_its_home_exports(face: str) -> None:
    module, home = import_module(f"ray_async.{face}"), import_module(f"ray_async.{FACES[face]}")
    assert set(module.__all__) <= set(home.__all__)
    assert all(getattr(module, name) is getattr(home, name) for name in module.__all__)
    assert getattr(ray, face) is module


@pytest.mark.parametrize("face", FACES)
def test_a_face_defines_nothing(face: str) -> None:
    doc, *body = ast.parse((ROOT / f"{face}.py").read_text()).body
    assert isinstance(doc, ast.Expr)
    for node in body:
        exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert exports or isinstance(node, ast.ImportFrom), ast.unparse(node)
