"""Compiled graphs of actors, and the same calls without a graph.

What runs in workers is defined inside functions, so that it travels by value and workers need not import this file.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from bench.drivers import protocol
from bench.drivers.ray_remote import remote

__all__ = ("cases",)


class Graphs:
    """The cases over one session; each has actors and a graph of its own, which end with it."""

    def __init__(self, session: Any) -> None:
        self.session = session

    def actors(self, count: int) -> list[Any]:
        class Echo:
            def echo(self, value: Any) -> Any:
                return value

        actor: Any = remote(self.session.ray, num_cpus=0)(Echo)
        return [actor.remote() for _ in range(count)]

    def graph(self, params: Mapping[str, Any], count: int) -> Mapping[str, float]:
        ray, actors = self.session.ray, self.actors(count)
        dag = importlib.import_module(f"{self.session.module}.dag")
        with dag.InputNode() as node:
            for actor in actors:
                node = actor.echo.bind(node)
        compiled = node.experimental_compile()
        get, execute = ray.get, compiled.execute
        get(execute(b"ok"))
        try:
            return protocol.repeat(lambda: get(execute(b"ok")), params)
        finally:
            compiled.teardown(kill_actors=True)

    def calls(self, params: Mapping[str, Any], count: int) -> Mapping[str, float]:
        ray, actors = self.session.ray, self.actors(count)

        def call() -> None:
            value: Any = b"ok"
            for actor in actors:
                value = actor.echo.remote(value)
            ray.get(value)

        call()
        try:
            return protocol.repeat(call, params)
        finally:
            for actor in actors:
                ray.kill(actor)


def cases(session: Any) -> dict[str, protocol.Case]:
    """The cases by name."""
    graphs = Graphs(session)
    return {
        "graph_sync": lambda params: graphs.graph(params, 1),
        "call_sync": lambda params: graphs.calls(params, 1),
        "graph_chain": lambda params: graphs.graph(params, 3),
        "call_chain": lambda params: graphs.calls(params, 3),
    }
