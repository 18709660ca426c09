"""Modules of the package that workers have from their zygote: an import after the fork costs each worker its time."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import ray_async as ray
from ray_async.runtime.start import zygote

TIMEOUT_S = 60


def preloaded() -> set[str]:
    """What a process has that imports the zygote and the modules on its lists."""
    names = ("ray_async.runtime.start.node_entry", zygote.__name__, *zygote._FIRST_MODULES, *zygote._WARM_MODULES)
    program = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name for name in done.stdout.split() if name.partition(".")[0] == "ray_async"}


def actors() -> list[type[Any]]:
    """Classes that travel by value, so that workers need not import this file."""

    class Plain:
        def modules(self) -> set[str]:
            return {name for name in sys.modules if name.partition(".")[0] == "ray_async"}

    class Asynchronous:
        async def modules(self) -> set[str]:
            return {name for name in sys.modules if name.partition(".")[0] == "ray_async"}

    return [Plain, Asynchronous]


@pytest.mark.parametrize("kind", actors())
def test_a_worker_that_hosts_an_actor_imports_nothing_of_the_package(kind: type[Any]) -> None:
    with ray.init(num_cpus=1):
        actor = ray.remote(num_cpus=0)(kind).remote()
        assert ray.get(actor.modules.remote(), timeout=TIMEOUT_S) - preloaded() == set()
