"""Variables that a program reads when it is loaded: the worker is an interpreter of its own."""

import os

import ray_async as ray


@ray.remote
def threads() -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def test_a_variable_of_the_loader_reaches_the_worker() -> None:
    chosen = threads.options(runtime_env={"env_vars": {"OMP_NUM_THREADS": "7"}})
    assert ray.get(chosen.remote(), timeout=60) == "7"
    assert ray.get(threads.options(num_cpus=2).remote(), timeout=60) == "2"
