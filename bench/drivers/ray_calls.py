"""Calls of tasks and actors, from the driver and from within.

What runs in workers is defined inside functions, so that it travels by value and workers need not import this file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from bench.drivers import idioms, protocol
from bench.drivers.idioms import run_loop
from bench.drivers.ray_remote import remote

__all__ = ("cases",)


def definitions(ray: Any) -> dict[str, Any]:
    """What Ray's microbenchmark calls, as far as the cases use it."""

    @remote(ray)
    def small_value() -> bytes:
        return b"ok"

    @remote(ray)
    def numbers(count: int) -> Iterator[int]:
        yield from range(count)

    @remote(ray)
    def small_value_batch(count: int) -> int:
        ray.get([small_value.remote() for _ in range(count)])
        return 0

    @remote(ray, num_cpus=0)
    class Actor:
        def small_value(self) -> bytes:
            return b"ok"

        def task_batch(self, count: int) -> None:
            ray.get([small_value.remote() for _ in range(count)])

    @remote(ray, num_cpus=0)
    class AsyncActor:
        async def small_value(self) -> bytes:
            return b"ok"

    def call_in_turn(servers: list[Any], count: int) -> None:
        ray.get([servers[index % len(servers)].small_value.remote() for index in range(count)])

    @remote(ray, num_cpus=0)
    class Client:
        def call(self, servers: list[Any], count: int) -> None:
            call_in_turn(servers, count)

    return {
        "small_value": small_value,
        "small_value_batch": small_value_batch,
        "numbers": numbers,
        "Actor": Actor,
        "AsyncActor": AsyncActor,
        "Client": Client,
        "call_in_turn": call_in_turn,
    }


class Calls:
    """The cases over one session, with actors that are made once."""

    def __init__(self, session: Any) -> None:
        self.session = session

    @property
    def ray(self) -> Any:
        return self.session.ray

    @cached_property
    def remote(self) -> dict[str, Any]:
        return definitions(self.ray)

    @cached_property
    def actor(self) -> Any:
        return self.remote["Actor"].remote()

    @cached_property
    def async_actor(self) -> Any:
        return self.remote["AsyncActor"].remote()

    @cached_property
    def servers_and_clients(self) -> tuple[list[Any], list[Any]]:
        pairs = range(self.session.cpus)
        return [self.remote["Actor"].remote() for _ in pairs], [self.remote["Client"].remote() for _ in pairs]

    def task(self) -> Callable[[], Any]:
        return self.remote["small_value"].remote  # type: ignore[no-any-return]

    def actor_call(self) -> Callable[[], Any]:
        return self.actor.small_value.remote  # type: ignore[no-any-return]

    def async_actor_call(self) -> Callable[[], Any]:
        return self.async_actor.small_value.remote  # type: ignore[no-any-return]

    def sync(self, make: Callable[[], Callable[[], Any]]) -> protocol.Case:
        def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
            get, call = self.ray.get, make()
            return protocol.repeat(lambda: get(call()), params)

        return measure

    def awaited(self, make: Callable[[], Callable[[], Awaitable[Any]]]) -> protocol.Case:
        def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
            call = make()
            return run_loop(protocol.repeat_async(call, params))

        return measure

    def pipelined(self, make: Callable[[], Callable[[], Any]]) -> protocol.Case:
        def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
            get, call, batch = self.ray.get, make(), int(params["batch"])
            return protocol.repeat(lambda: get([call() for _ in range(batch)]), params, per=batch)

        return measure

    def coroutine(self) -> Callable[[], Any]:
        """A task as a coroutine, which task groups insist on."""
        call = self.task()
        if hasattr(self.ray.ObjectRef, "as_coroutine"):
            return lambda: call().as_coroutine()

        async def awaited() -> Any:
            return await call()

        return awaited

    def future(self) -> Callable[[], Any]:
        """A task as what `asyncio.wait` takes: a future."""
        call = self.task()
        return (
            call if hasattr(self.ray.ObjectRef, "add_done_callback") else lambda: asyncio.wrap_future(call().future())
        )

    def nested_task(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, call, batch = self.ray.get, self.remote["small_value_batch"].remote, int(params["batch"])
        return protocol.repeat(lambda: get(call(batch)), params, per=batch)

    def nested_actors(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, batch = self.ray.get, int(params["batch"])
        actors = self.servers_and_clients[0]
        return protocol.repeat(
            lambda: get([actor.task_batch.remote(batch) for actor in actors]), params, per=batch * len(actors)
        )

    def driver_to_actors(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        call, servers, batch = self.remote["call_in_turn"], self.servers_and_clients[0], int(params["batch"])
        return protocol.repeat(lambda: call(servers, batch), params, per=batch)

    def actors_to_actors(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        get, batch = self.ray.get, int(params["batch"])
        servers, clients = self.servers_and_clients
        return protocol.repeat(
            lambda: get([client.call.remote(servers, batch) for client in clients]), params, per=batch * len(clients)
        )

    def streamed_values(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        start, batch = self.remote["numbers"].remote, int(params["batch"])

        async def read() -> None:
            stream = start(batch)
            if hasattr(stream, "values"):
                async for _ in stream.values():
                    pass
            else:
                async for ref in stream:
                    await ref

        return protocol.repeat(lambda: run_loop(read()), params, per=batch)

    def idle(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        self.ray.get([self.task()() for _ in range(10)])
        time.sleep(float(params["settle_seconds"]))  # until surplus workers have been ended
        watch = protocol.Stopwatch()
        watch.start()
        time.sleep(float(params["idle_seconds"]))
        watch.stop()
        return {"busy": watch.cpu / watch.wall}


def cases(session: Any) -> dict[str, protocol.Case]:
    """The cases by name."""
    calls = Calls(session)
    return {
        "task_sync": calls.sync(calls.task),
        "task_await": calls.awaited(calls.task),
        "tasks_pipelined": calls.pipelined(calls.task),
        "actor_sync": calls.sync(calls.actor_call),
        "actor_await": calls.awaited(calls.actor_call),
        "actor_pipelined": calls.pipelined(calls.actor_call),
        "async_actor_sync": calls.sync(calls.async_actor_call),
        "async_actor_await": calls.awaited(calls.async_actor_call),
        "async_actor_pipelined": calls.pipelined(calls.async_actor_call),
        "nested_task": calls.nested_task,
        "nested_actors": calls.nested_actors,
        "driver_to_actors": calls.driver_to_actors,
        "actors_to_actors": calls.actors_to_actors,
        "streamed_values": calls.streamed_values,
        "gather_tasks": idioms.case(idioms.gathered, calls.task),
        "gather_actor": idioms.case(idioms.gathered, calls.async_actor_call),
        "group_tasks": idioms.case(idioms.in_a_group, calls.coroutine),
        "limited_tasks": idioms.case(idioms.limited, calls.task),
        "each_task": idioms.case(idioms.in_turn, calls.task),
        "first_tasks": idioms.case(idioms.first_of_all, calls.future),
        "idle": calls.idle,
    }
