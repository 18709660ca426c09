"""Hooks that the environment names."""

from pathlib import Path

import pytest

from tests.output.script import run

SCRIPT = """
import os
import ray_async as ray
{start}
@ray.remote
def value(): return os.environ.get("HOOKED")
print(ray.get(value.remote(), timeout=60))
"""


@pytest.mark.parametrize(
    ("start", "expected"),
    [("", "yes"), ("ray.init(num_cpus=1)", "yes"), ("ray.init(num_cpus=1, _skip_env_hook=True)", "None")],
)
def test_a_hook_may_change_the_environment_of_a_job(start: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text("def hook(env): return {**(env or {}), 'env_vars': {'HOOKED': 'yes'}}")
    out, _ = run(
        SCRIPT.replace("{start}", start), RAY_RUNTIME_ENV_HOOK="hooks.hook", PYTHONPATH=f"{tmp_path}:{Path.cwd()}"
    )
    assert out == [expected]
