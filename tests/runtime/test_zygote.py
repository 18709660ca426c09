"""What workers have by the zygote."""

from __future__ import annotations

import subprocess
import sys

import ray_async as ray
from ray_async.runtime import zygote

TIMEOUT_S = 60
PROGRAM = """
import sys
import ray_async.runtime.boot, ray_async.runtime.zygote
for name in {names}:
    __import__(name)
print(*sys.modules)
"""


@ray.remote
def imported() -> set[str]:
    return set(sys.modules)


def test_workers_import_nothing_that_they_could_share() -> None:
    program = PROGRAM.format(names=(*zygote._FIRST, *zygote._WARM))
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    with ray.init("local", num_cpus=1):
        own = ray.get(imported.remote(), timeout=TIMEOUT_S) - set(run.stdout.split())
    assert sorted(name for name in own if name.startswith("ray_async.runtime")) == []
