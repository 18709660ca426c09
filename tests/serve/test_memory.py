"""A handler that leaks: its replica is ended before the machine's memory is, and costs nobody else."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.exceptions import OutOfMemoryError
from ray_async.machine.memory_limits import memory_state
from tests.serve.controller import replica_pids, replica_states
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import wait_until

MOST = 3 << 30  # bytes that a replica may leak here
PIECE = 128 << 20


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    available = memory_state().available
    limits = {"memory_usage_threshold": 0.0001, "min_memory_free_bytes": available - min(MOST, available // 4)}
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED, _system_config=limits)
    serve.start(serve.HTTPOptions(port=0))
    yield
    serve.shutdown()
    ray.shutdown()


@serve.deployment(num_replicas=2, max_ongoing_requests=2)
class Leaks:
    def __init__(self, gate: Any) -> None:
        self.gate = gate
        self.kept: list[bytes] = []

    async def __call__(self, leaks: Any = None) -> str:
        if leaks is True:
            while True:
                self.kept.append(b"x" * PIECE)
                await self.gate.arrive.remote()
        await self.gate.wait.remote()
        return "answer"


def test_only_what_the_leaking_replica_had_is_lost(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Leaks.bind(gate))
    before = set(replica_pids().values())
    held = [handle.remote() for _ in range(2)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 2)
    with pytest.raises(OutOfMemoryError, match=r"memory was short(?s:.*)fewer of them at once"):
        handle.remote(True).result(timeout_s=120)
    ray.get(gate.open.remote())
    outcomes = [outcome(response) for response in held]
    assert "answer" in outcomes and set(outcomes) <= {"answer", OutOfMemoryError}
    # Nothing is sent to it any more, and there is another one in its place.
    assert [handle.remote().result() for _ in range(20)] == ["answer"] * 20
    assert [http.get("/").text for _ in range(20)] == ["answer"] * 20
    wait_until(lambda: replica_states() == {"Leaks": {"RUNNING": 2}})
    after = set(replica_pids().values())
    assert len(after & before) == 1 and len(after) == 2


def outcome(response: Any) -> Any:
    try:
        return response.result()
    except OutOfMemoryError as error:
        return type(error)
