"""What does not grow: tasks, threads, descriptors, handles, routers and memory, whatever many requests have done."""

import asyncio
import contextlib
import ctypes
import gc
import os
import socket
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil  # type: ignore[import-untyped]  # it has no types
import pytest
from starlette.requests import Request
from starlette.responses import Response

from ray_async import serve
from ray_async.serve.handle.client import get_client
from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.telemetry.telemetry import Telemetry
from tests.resources import becomes_true
from tests.serve.controller import controller_pid, replica_pids
from tests.serve.sizes import size
from tests.serve.waiting import ongoing, wait_until

WARM_UP = size(30, 200)
LARGE = 10 << 20  # bytes
MOST_GROWTH = 20 << 20  # bytes of private memory of any process


class Large:
    """A value of ten megabytes that a weak reference can follow."""

    def __init__(self) -> None:
        self.data = bytearray(LARGE)


def use_of_process() -> dict[str, int]:
    """What this process has: asyncio's tasks, threads, descriptors, handles, routers.

    The lines of its requests are written before: the first ones open its log, a moment after their requests.
    """
    for one in gc.get_objects():
        if type(one) is Telemetry:
            one.flush()
    try:
        tasks = len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs
        tasks = 0
    return {
        "tasks": tasks,
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "handles": sum(type(one) is DeploymentHandle for one in gc.get_objects()),
        "routers": len(get_client()._routers),
    }


@serve.deployment(max_ongoing_requests=100)
class Back:
    """Its process collects no cycles: what is in one stays, and is seen."""

    def __init__(self) -> None:
        gc.disable()
        self.followed: list[weakref.ref[Any]] = []

    async def __call__(self, value: Any = None) -> Any:
        return value

    async def takes(self, value: Large) -> int:
        self.followed.append(weakref.ref(value))
        return len(value.data)

    async def gives(self) -> Large:
        value = Large()
        self.followed.append(weakref.ref(value))
        return value

    async def fails(self) -> None:
        value = Large.__new__(Large)
        self.followed.append(weakref.ref(value))
        raise ValueError("as it shall")

    async def alive(self) -> list[str]:
        """The types of the requests, arguments and answers that were followed, and live."""
        return [type(one()).__name__ for one in self.followed if one() is not None]

    async def use(self) -> dict[str, int]:
        return use_of_process()


@serve.deployment(max_ongoing_requests=100)
class Front(Back.func_or_class):  # type: ignore[name-defined,misc]
    def __init__(self, back: Any, version: int) -> None:
        super().__init__()
        self.back = back

    async def __call__(self, request: Any = None) -> Any:
        if isinstance(request, Request):
            self.followed.append(weakref.ref(request))
            kind = request.query_params.get("kind", "")
            if kind == "body":
                return len(await request.body())
            if kind == "large":
                answer = Response(bytes(LARGE))
                self.followed.append(weakref.ref(answer))
                return answer
            if kind == "fails":
                await self.back.fails.remote()
            if kind == "waits":
                await asyncio.Event().wait()
        own = serve.get_app_handle("default")
        back = serve.get_deployment_handle("Back")
        return [await own.echo.remote(1), await back.remote(2), await self.back.remote(3)]

    async def echo(self, value: Any) -> Any:
        return value


def give_back() -> None:
    """Give back what this process has freed: its HTTP client makes cycles, and its 10 MB bodies leave gaps in the heap,
    a different number of them each time. What still refers to something is not given back."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone keeps such gaps, and has the function
    if trim is not None:
        trim(0)


def memory() -> dict[int, int]:
    """The private memory of this process and of all that it has started, in bytes."""
    give_back()
    found = {}
    for one in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            lines = Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines()
            found[one.pid] = sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private"))
    return found


def grown_since(before: dict[int, int]) -> dict[str, int]:
    """The processes of which the private memory has grown by more than it may."""
    names = {pid: name for name, pid in replica_pids().items()} | {
        os.getpid(): "driver",
        controller_pid(): "controller",
    }
    grown = {names.get(pid, str(pid)): after - before.get(pid, after) for pid, after in memory().items()}
    return {name: growth for name, growth in grown.items() if growth > MOST_GROWTH}


def use() -> list[dict[str, int]]:
    handles = [serve.get_deployment_handle(name, "default") for name in ("Front", "Back")]
    inside = [handle.use.remote().result() for handle in handles]
    del handles
    gc.collect()  # of this process, in which other tests have been
    return [*inside, use_of_process()]


def alive() -> list[str]:
    """The types of what was followed, and lives."""
    found = [serve.get_deployment_handle(name, "default").alive.remote().result() for name in ("Front", "Back")]
    return [*found[0], *found[1]]


def none_is_alive() -> bool:
    found = alive()
    if found:
        print("alive:", found)
    return not found


class Clients:
    """Makes requests of all kinds."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.front = serve.get_app_handle("default")
        self.back = serve.get_deployment_handle("Back", "default")

    def ordinary(self, count: int) -> None:
        for number in range(count):
            if number % 2:
                assert self.http.get("/").json() == [1, 2, 3]
            else:
                assert self.front.remote().result() == [1, 2, 3]

    def large(self, count: int) -> None:
        """Large arguments and answers, by HTTP and by handle."""
        for number in range(count):
            if number % 2:
                assert self.http.post("/?kind=body", content=bytes(LARGE)).json() == LARGE
                assert len(self.http.get("/?kind=large").content) == LARGE
            else:
                with no_cycles():
                    argument = Large()
                    assert self.back.takes.remote(argument).result() == LARGE
                    answer = self.back.gives.remote().result()
                    assert len(answer.data) == LARGE
                    followed = weakref.ref(argument), weakref.ref(answer)
                    del argument, answer
                    assert [one() for one in followed] == [None, None]

    def failures(self, count: int) -> None:
        for number in range(count):
            if number % 2:
                assert self.http.get("/?kind=fails").status_code == 500
            else:
                with pytest.raises(ValueError, match="as it shall"):
                    self.back.fails.remote().result()

    def leavers(self, count: int) -> None:
        for _ in range(count):
            with socket.create_connection((self.http.base_url.host, self.http.base_url.port or 0)) as connection:
                connection.sendall(b"GET /?kind=waits HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_until(lambda: ongoing() == 0)


def deploy(version: int) -> None:
    serve.run(Front.bind(Back.bind(), version))


@contextlib.contextmanager
def no_cycles() -> Iterator[None]:
    """No collection of cycles in this process either; its HTTP client makes some with each request."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


BLOCKS = {"ordinary": size(100, 20_000), "large": size(4, 300), "failures": size(40, 5_000), "leavers": size(40, 2_000)}


def test_blocks_of_requests(http: httpx.Client) -> None:
    deploy(0)
    with httpx.Client(base_url=http.base_url, timeout=60) as client:
        clients = Clients(client)
        clients.ordinary(WARM_UP)
        for name, few in (("large", 8), ("failures", 20), ("leavers", 20)):
            getattr(clients, name)(few)
        wait_until(none_is_alive)
        before, bytes_before = use(), memory()
        assert set(replica_pids().values()) <= bytes_before.keys()
        for name, count in BLOCKS.items():
            getattr(clients, name)(count)
            wait_until(none_is_alive)
            assert_no_more_than(before)
            assert grown_since(bytes_before) == {}, name


def assert_no_more_than(before: list[dict[str, int]]) -> None:
    """Wait until nothing is there that was not before; less may be, as earlier tests' leftovers go when they like."""
    grown: list[dict[str, tuple[int, int]]] = []

    def nothing_grew() -> bool:
        pairs = zip(before, use(), strict=True)
        grown[:] = [{name: (old[name], new[name]) for name in old if new[name] > old[name]} for old, new in pairs]
        return not any(grown)

    assert becomes_true(nothing_grew, 60), f"grown in front, back and driver: {grown}"


def test_redeploys(http: httpx.Client) -> None:
    deploy(0)
    with httpx.Client(base_url=http.base_url, timeout=60) as client:
        clients = Clients(client)
        for version in (1, 2):
            clients.ordinary(4)
            deploy(version)
        clients.ordinary(WARM_UP)
        before, bytes_before = use(), memory()
        for version in range(3, 3 + size(2, 50)):
            deploy(version)
            clients.ordinary(4)
        clients.ordinary(WARM_UP)
        assert_no_more_than(before)
        assert grown_since(bytes_before) == {}
