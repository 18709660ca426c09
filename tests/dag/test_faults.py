"""Compiled graphs whose processes die."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.dag import InputNode, MultiOutputNode
from ray_async.exceptions import ActorDiedError, RayChannelError
from tests.dag.actors import Worker


def test_an_actor_that_dies_ends_the_graph() -> None:
    one, other = Worker.remote(), Worker.remote()
    with InputNode() as inp:
        dag = MultiOutputNode([other.echo.bind(one.die.bind(inp)), other.echo.bind(inp)])
    graph = dag.experimental_compile()
    assert ray.get(graph.execute(1)) == [1, 1]
    with pytest.raises(ActorDiedError, match="exit code 7"):
        ray.get(graph.execute(-1)[0])
    with pytest.raises(ActorDiedError, match="exit code 7"):
        graph.execute(1)
    assert ray.get(other.echo.remote(3)) == 3
    graph.teardown()


async def test_who_awaits_hears_of_it() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        graph = worker.wait_for.bind(inp).experimental_compile(enable_asyncio=True)
    future = await graph.execute_async("/nowhere")
    pid = await worker.pid.remote()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ActorDiedError):
        await future
    await asyncio.to_thread(graph.teardown)


def test_an_actor_that_restarts_is_no_part_of_the_graph() -> None:
    worker = Worker.options(max_restarts=1, max_task_retries=1).remote()
    with InputNode() as inp:
        graph = worker.die.bind(inp).experimental_compile()
    assert ray.get(graph.execute(1)) == 1
    with pytest.raises(RayChannelError, match="restarted"):
        ray.get(graph.execute(-1))
    graph.teardown()
    assert ray.get(worker.echo.remote(1)) == 1


def test_an_actor_that_dies_with_its_first_message() -> None:
    worker = Worker.options(max_restarts=-1, max_task_retries=-1).remote()
    with InputNode() as inp:
        graph = worker.die.bind(inp).experimental_compile()
    with pytest.raises(RayChannelError, match="restarted"):
        ray.get(graph.execute(-1), timeout=60)
    graph.teardown()


def test_an_actor_that_was_dead_already() -> None:
    worker = Worker.remote()
    ray.kill(worker)
    with InputNode() as inp:
        graph = worker.add.bind(inp).experimental_compile()
    with pytest.raises(ActorDiedError):
        ray.get(graph.execute(1))
    graph.teardown()


def test_teardown_kills_the_actors_where_that_is_asked_for() -> None:
    worker = Worker.remote()
    with InputNode() as inp:
        graph = worker.wait_for.bind(inp).experimental_compile()
    ref = graph.execute("/nowhere")
    graph.teardown(kill_actors=True)
    with pytest.raises(RayChannelError):
        ray.get(ref)
    with pytest.raises(ActorDiedError):
        ray.get(worker.echo.remote(1))


def test_the_session_ends_its_graphs(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import os
import ray_async as ray
from ray_async.dag import InputNode
from tests.dag.actors import Worker

ray.init(num_cpus=2)
worker = Worker.remote()
with InputNode() as inp:
    graph = worker.wait_for.bind(inp).experimental_compile()
ref = graph.execute("/nowhere")
ray.shutdown()
try:
    graph.execute(1)
except ray.exceptions.RayChannelError as error:
    print("ended:", error)
graph.teardown()
del ref, graph
"""
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, env=_environment())
    assert "Channel closed" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_loops_end_with_the_process_that_executes(wait_until: Callable[..., None]) -> None:
    worker = Worker.remote()

    @ray.remote(num_cpus=0)
    class Replica:
        def __init__(self, worker: Any) -> None:
            with InputNode() as inp:
                self.graph = worker.echo.bind(inp).experimental_compile()
            assert ray.get(self.graph.execute(1)) == 1

        def pid(self) -> int:
            return os.getpid()

    replica = Replica.remote(worker)
    os.kill(ray.get(replica.pid.remote()), signal.SIGKILL)
    wait_until(lambda: "ray::graph" not in _threads(worker), timeout=30)


def _threads(worker: Any) -> list[str]:
    def names(instance: Any) -> list[str]:
        import threading

        return [thread.name for thread in threading.enumerate()]

    found: list[str] = ray.get(worker.__ray_call__.remote(names))
    return found


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root}
