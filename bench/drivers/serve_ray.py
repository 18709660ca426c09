"""Driver of the Serve of ray_async and of Ray, which run the very same code: `serve_ray.py ray_async` or `... ray`."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from bench.drivers import processes, protocol, serve_deployments, serve_work
from bench.drivers.http_server import free_port
from bench.drivers.idioms import run_loop
from bench.drivers.peer_ray import Session
from bench.drivers.ray_remote import remote

# Each replica of Ray's holds a CPU unless it is told otherwise, and waits for one for ever: an ingress with two stages
# needs three. The number keeps no process from any core.
RAY_CPUS = 8
START = """
import http.client, sys, time
module, port = sys.argv[1], int(sys.argv[2])
start = time.perf_counter()
__import__(module + ".serve")
imported = time.perf_counter()
serve = sys.modules[module].serve
class Hello:
    async def __call__(self, request):
        return "hello"
application = serve.deployment(Hello).bind()
def answer(path):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    assert connection.getresponse().read() == b"hello"
begin = time.perf_counter()
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(application)
answer("/")
first = time.perf_counter()
serve.run(application, name="second", route_prefix="/second")
answer("/second")
second = time.perf_counter()
serve.shutdown()
sys.modules[module].shutdown()
import json
print(json.dumps({"import": imported - start, "first": first - begin, "second": second - first}))
"""


class ServeSession(Session):
    """The library with its Serve, and one application at a time."""

    def __init__(self, module: str) -> None:
        # What `serve.run` does by itself where it begins the session.
        super().__init__(module, **({"preload": ["ray_async.serve"]} if module == "ray_async" else {}))
        if module == "ray":
            self.cpus = max(self.cpus, RAY_CPUS)
        self.running = ""
        self.port = free_port()
        self.versions = 0

    @cached_property
    def serve(self) -> Any:
        serve = importlib.import_module(f"{self.module}.serve")
        self.ray  # noqa: B018 - begins the session
        serve.start(http_options={"host": "127.0.0.1", "port": self.port})
        return serve

    def run(self, name: str, make: Callable[[], Any]) -> Any:
        """The handle of an application, which takes the place of the one before; what runs already goes on."""
        if self.running != name:
            if self.running:
                self.serve.delete("default")
            self.handle = self.serve.run(make(), route_prefix="/")
            self.running = name
        return self.handle

    def close(self) -> None:
        if "serve" in self.__dict__:
            self.serve.shutdown()
        super().close()


class Cases:
    """The cases over one session."""

    def __init__(self, session: ServeSession) -> None:
        self.session = session

    def port(self, name: str) -> protocol.Case:
        """The port, once an application answers there."""

        def case(params: Mapping[str, Any]) -> Mapping[str, float]:
            session = self.session
            session.run(name, lambda: serve_deployments.applications(session.serve)[name]())
            return {"port": session.port}

        return case

    def update(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Deploys another version and scales down and up, again and again, while somebody else sends requests."""
        serve, updates = self.session.serve, 0
        end = time.monotonic() + float(params["seconds"])
        while time.monotonic() < end:
            self.session.versions += 1
            for replicas in (3, 1, 3):
                application = serve_deployments.echo(serve, num_replicas=replicas).bind(self.session.versions)
                serve.run(application, route_prefix="/")
                updates += 1
        return {"updates": updates}

    @property
    def echo(self) -> Any:
        return self.session.run("handles", lambda: serve_deployments.echo(self.session.serve).bind())

    @cached_property
    def actor(self) -> Any:
        class Actor:
            async def hello(self) -> str:
                return "hello"

        options = {"num_cpus": 0, "max_concurrency": serve_deployments.MANY}
        return remote(self.session.ray, **options)(Actor).remote()

    def awaited(self, make: Callable[[], Callable[[], Any]]) -> protocol.Case:
        """One call after the other."""

        def case(params: Mapping[str, Any]) -> Mapping[str, float]:
            call = make()
            return run_loop(protocol.repeat_async(call, params))

        return case

    def pipelined(self, make: Callable[[], Callable[[], Any]]) -> protocol.Case:
        """Many calls at once, by `asyncio.gather`."""

        def case(params: Mapping[str, Any]) -> Mapping[str, float]:
            call, batch = make(), int(params["batch"])

            async def once() -> None:
                await asyncio.gather(*[call() for _ in range(batch)])

            return run_loop(protocol.repeat_async(once, params, per=batch))

        return case

    def batch(self, method: str) -> protocol.Case:
        """Items one by one to a batched method, or batches made by hand, in the replica."""

        def case(params: Mapping[str, Any]) -> Mapping[str, float]:
            serve = self.session.serve
            handle = self.session.run("batch", lambda: serve_deployments.batching(serve))
            count = int(params["batches"]) * serve_work.BATCH
            return {"wall": getattr(handle, method).remote(count).result()}

        return case

    def start(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """In a fresh interpreter: from nothing to the first answer, and a second application."""
        return protocol.script_metrics(START, self.session.module, str(free_port()))

    def replica(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        """Replicas added one by one: the time of each, and what one that has answered holds for itself."""
        serve, count = self.session.serve, int(params["count"])
        echo = serve_deployments.echo(serve)  # one class: another one would be another version, and all be replaced
        handle = serve.run(echo.bind())
        handle.remote().result()
        private = processes.private_bytes(handle.pid.remote().result())
        start = time.perf_counter()
        for number in range(2, 2 + count):
            serve.run(echo.options(num_replicas=number).bind())
        elapsed = time.perf_counter() - start
        serve.delete("default")
        return {"wall": elapsed / count, "private": private}


def main(module: str) -> None:
    session = ServeSession(module)
    cases = Cases(session)
    named: dict[str, protocol.Case] = {
        "update_under_load": cases.update,
        "handle_await": cases.awaited(lambda: cases.echo.remote),
        "handle_pipelined": cases.pipelined(lambda: cases.echo.remote),
        "actor_await": cases.awaited(lambda: cases.actor.hello.remote),
        "actor_pipelined": cases.pipelined(lambda: cases.actor.hello.remote),
        "batch": cases.batch("batched"),
        "batch_ideal": cases.batch("ideal"),
        "start": cases.start,
        "replica": cases.replica,
    }
    named |= {name: cases.port(name) for name in ("echo", "pipeline", "balance", "stream", "relay", "update")}
    protocol.serve(named, session.version(), session.close)


if __name__ == "__main__":
    main(sys.argv[1])
