"""Graphs that ended by an error, and sessions that ended with them: nothing of them stays in memory."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.dag import InputNode
from ray_async.exceptions import ActorDiedError
from tests.dag.actors import Worker

ROOT = Path(__file__).parents[2]


@ray.remote(num_cpus=0)
class Broken:
    def __init__(self) -> None:
        raise ValueError("broken")

    def echo(self, x: object) -> object:
        return x


def mappings() -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:ray_async" in line]


def graph_of_an_actor_that_dies() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        graph = worker.die.bind(inp).experimental_compile()
    with pytest.raises(ActorDiedError):
        ray.get(graph.execute(-1))
    for _ in range(2):
        with pytest.raises(ActorDiedError, match="exit code 7"):
            graph.execute(1)
    graph.teardown()


def graph_of_an_actor_that_never_starts() -> None:
    worker = Broken.remote()
    with InputNode() as inp:
        graph = worker.echo.bind(inp).experimental_compile()
    with pytest.raises(ActorDiedError):
        ray.get(graph.execute(1))
    graph.teardown()


def graph_of_a_session_that_ends() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        graph = worker.echo.bind(inp).experimental_compile()
    assert ray.get(graph.execute(1)) == 1


def sessions() -> None:
    for graph in (graph_of_an_actor_that_dies, graph_of_an_actor_that_never_starts, graph_of_a_session_that_ends):
        ray.init(num_cpus=1)
        graph()
        ray.shutdown()
        gc.collect()
        assert mappings() == [], graph.__name__


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system does not list a process's memory")
def test_nothing_stays_of_graphs_that_ended() -> None:
    """In an interpreter of its own: what other tests leave in a process does not count."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    sessions()
