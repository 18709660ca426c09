"""Replicas that are killed or stopped: what is lost, what is sent again, and who notices."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.exceptions import ActorDiedError
from ray_async.serve.handle.client import get_client
from ray_async.serve.names import folder
from tests.serve.controller import controller_pid, replica_pids, replica_states
from tests.serve.load import Load
from tests.serve.waiting import wait_until


@serve.deployment(num_replicas=3, max_ongoing_requests=1)
class Held:
    def __init__(self, gate: Any) -> None:
        self.gate = gate

    async def __call__(self, request: Any = None) -> int:
        await self.gate.wait.remote()
        return os.getpid()

    async def pid(self, value: Any = None) -> int:
        return os.getpid()


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def files() -> list[str]:
    """The files of replicas in Serve's folder."""
    found = [path.name for pattern in ("stack-*", "*-*.sock", "models-*") for path in folder().glob(pattern)]
    return sorted(name for name in found if re.search("[0-9]", name))  # which the controller's and the front's have not


def test_nothing_of_it_stays_in_the_folder(http: httpx.Client) -> None:
    serve.run(Held.bind(None))
    assert len(files()) == 12
    for pid in replica_pids().values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: replica_states() == {"Held": {"RUNNING": 3}})
    wait_until(lambda: len(files()) == 12)
    serve.run(Held.options(num_replicas=1).bind(None))
    wait_until(lambda: len(files()) == 4)
    serve.delete("default")
    assert files() == []


def entered(gate: Any) -> int:
    counts: tuple[int, int] = ray.get(gate.counts.remote())
    return counts[0]


def test_what_it_had_fails_and_nothing_else(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Held.bind(gate))
    held = [handle.remote() for _ in range(3)]
    wait_until(lambda: entered(gate) == 3)
    killed = min(replica_pids().values())
    with stopped(controller_pid()), ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(response.result) for response in held]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: sum(answer.done() for answer in answers) == 1)
        (failed,) = [answer for answer in answers if answer.done()]
        with pytest.raises(ActorDiedError, match="SIGKILL"):
            failed.result()
        later = [handle.remote() for _ in range(6)]
        ray.get(gate.open.remote())
        pids = {answer.result() for answer in answers if answer is not failed}
        assert pids | {response.result() for response in later} == set(replica_pids().values())
        assert killed not in pids
    wait_until(lambda: replica_states() == {"Held": {"RUNNING": 3}})


def test_under_load_without_a_controller(http: httpx.Client) -> None:
    @serve.deployment(num_replicas=3)
    class Quick:
        async def __call__(self, request: Any = None) -> str:
            return "answer"

    handle = serve.run(Quick.bind())
    with stopped(controller_pid()), Load(http, handle, method="POST") as load:
        load.more()
        killed = min(replica_pids().values())
        os.kill(killed, signal.SIGKILL)
        answered = len(load.answers)
        wait_until(lambda: len(load.answers) >= answered + 500)
        # What it had of four connections and two callers, each once, whenever its turn comes; later ones find others.
        lost = list(load.failures)
        assert len(lost) <= 6, lost
        died = (httpx.TransportError, ActorDiedError)
        assert all(isinstance(error, died) or error == "Internal Server Error" for error in lost), lost
        load.failures.clear()
    wait_until(lambda: replica_states() == {"Quick": {"RUNNING": 3}})


def test_two_stages_deep(http: httpx.Client, gate: Any) -> None:
    @serve.deployment
    class Front:
        def __init__(self, back: Any) -> None:
            self.back = back

        async def __call__(self, request: Any = None) -> int:
            pid: int = await self.back.remote()
            return pid

    handle = serve.run(Front.bind(Held.options(num_replicas=2).bind(gate)))
    held = [handle.remote() for _ in range(2)]
    wait_until(lambda: entered(gate) == 2)
    with stopped(controller_pid()):
        os.kill(min(replica_pids("Held").values()), signal.SIGKILL)
        ray.get(gate.open.remote())
        failures = []
        for response in held:
            try:
                response.result()
            except ActorDiedError as error:
                failures.append(error)
        assert len(failures) == 1
        assert [http.get("/").status_code for _ in range(10)] == [200] * 10


def test_calls_that_it_had_not_begun_are_sent_to_others(http: httpx.Client) -> None:
    handle = serve.run(Held.options(num_replicas=2, max_ongoing_requests=20).bind(None))
    pid = min(replica_pids().values())
    os.kill(pid, signal.SIGSTOP)
    responses = [handle.pid.remote(number) for number in range(30)]  # more than one replica may have
    os.kill(pid, signal.SIGKILL)
    assert pid not in {response.result(timeout_s=60) for response in responses}


def test_a_stopped_replica_that_goes_on_gets_requests_again(http: httpx.Client) -> None:
    handle = serve.run(Held.options(num_replicas=2, max_ongoing_requests=2).bind(None))
    pids = set(replica_pids().values())
    with stopped(min(pids)):
        responses = [handle.pid.remote() for _ in range(20)]
    assert {response.result() for response in responses} == pids
    assert {handle.pid.remote().result() for _ in range(50)} == pids
    assert set(replica_pids().values()) == pids


@pytest.mark.parametrize("by", ["handle", "deployment", "outer"])
def test_idempotent_calls_are_sent_again(http: httpx.Client, gate: Any, by: str) -> None:
    @serve.deployment
    class Front:
        def __init__(self, back: Any) -> None:
            self.back = back

        async def __call__(self) -> int:
            pid: int = await self.back.remote()
            return pid

    held = Held.options(num_replicas=2, idempotent=by == "deployment").bind(gate)
    handle = serve.run(Front.bind(held) if by == "outer" else held)
    response = handle.options(idempotent=by != "deployment").remote()
    wait_until(lambda: entered(gate) == 1)
    (killed,) = _busy("Held")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: entered(gate) == 2)
    ray.get(gate.open.remote())
    assert response.result() not in (None, killed)


def _busy(deployment: str) -> list[int]:
    """The processes of replicas that have requests."""
    client = get_client()
    entry = client.table()["deployments"][f"default#{deployment}"]
    board = client.board
    return [board.pid(slot) for _, _, slot in entry["replicas"] if board.ongoing(slot)]


def test_what_kills_its_replica_is_not_sent_for_ever(http: httpx.Client, gate: Any) -> None:
    @serve.deployment(num_replicas=4, idempotent=True)
    class Deadly:
        async def __call__(self, deadly: bool) -> bool:
            if deadly:
                await gate.arrive.remote()
                os.kill(os.getpid(), signal.SIGKILL)
            return deadly

    handle = serve.run(Deadly.bind())
    with pytest.raises(ActorDiedError, match="SIGKILL"):
        handle.remote(True).result()
    assert entered(gate) == 3
    assert handle.remote(False).result() is False


def test_get_requests_that_were_handed_over_are_sent_again(http: httpx.Client, gate: Any) -> None:
    @serve.deployment
    class First:
        async def __call__(self, request: Any) -> str:
            return "first"

    serve.run(First.bind(), name="first", route_prefix="/first")
    with httpx.Client(base_url=http.base_url, timeout=60) as client, ThreadPoolExecutor(1) as pool:
        assert client.get("/first").text == "first"  # the connection is that replica's from now on
        serve.run(Held.options(num_replicas=2).bind(gate), route_prefix="/held")
        for number, method, status in ((1, "GET", 200), (3, "POST", 500)):
            answer = pool.submit(client.request, method, "/held")
            wait_until(lambda number=number: entered(gate) == number)  # type: ignore[misc]
            (killed,) = _busy("Held")
            os.kill(killed, signal.SIGKILL)
            if status == 200:
                wait_until(lambda: entered(gate) == 2)
                ray.get(gate.open.remote())
            assert answer.result().status_code == status
            ray.get(gate.shut.remote())
            wait_until(lambda: replica_states() == {"Held": {"RUNNING": 2}})
