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


def test_devices_of_the_driver_keep_their_names() -> None:
    out, _ = run(
        """
import os
import ray_async as ray
ray.init(num_cpus=2, num_gpus=3)
def seen():
    devices = ray.get_gpu_ids()
    assert ray.get_runtime_context().get_accelerator_ids()["GPU"] == [str(device) for device in devices]
    return devices, os.environ["CUDA_VISIBLE_DEVICES"]
print(ray.get(ray.remote(num_gpus=3)(seen).remote(), timeout=60))
print(ray.get(ray.remote(seen).remote(), timeout=60))
""",
        CUDA_VISIBLE_DEVICES="4,5,6",
    )
    assert out == ["([4, 5, 6], '4,5,6')", "([], '4,5,6')"]
