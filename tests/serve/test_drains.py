"""Replicas that end under load: by scaling, and by new versions."""

import os
from pathlib import Path
from typing import Any

import httpx

from ray_async import serve
from tests.serve.controller import replica_states
from tests.serve.load import Load
from tests.serve.sizes import size
from tests.serve.waiting import wait_until

ROUNDS = size(2, 10)


@serve.deployment(max_ongoing_requests=8)
class Ends:
    """Notes its end, and what it begins after that."""

    def __init__(self, answer: str, ends: Path) -> None:
        self.answer, self.ends = answer, ends
        self.running = 0
        self.ended = False

    def note(self, text: str) -> None:
        with self.ends.open("a") as file:
            file.write(f"{os.getpid()} {text}\n")

    async def __call__(self, request: Any = None) -> str:
        if self.ended:
            self.note("begins after its end")
        self.running += 1
        try:
            return self.answer
        finally:
            self.running -= 1

    async def __del__(self) -> None:
        self.note("ended" if not self.running and not self.ended else "ended badly")
        self.ended = True


def version(answer: str, replicas: int, ends: Path) -> Any:
    return Ends.options(num_replicas=replicas).bind(answer, ends)


def test_scaling_and_new_versions_lose_nothing(http: httpx.Client, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    handle = serve.run(version("v0", 4, ends))
    expected = 0
    with Load(http, handle, connections=size(12, 32), callers=size(3, 4)) as load:
        for round_ in range(ROUNDS):
            for replicas in (1, 4):
                load.more(30)
                serve.run(version("v0", replicas, ends))
                wait_until(lambda replicas=replicas: replica_states() == {"Ends": {"RUNNING": replicas}})  # type: ignore[misc]
            expected += 3
            if round_ % max(1, ROUNDS // 2) == 0:
                serve.run(version(f"v{round_ + 1}", 4, ends))
                load.more(30)
                serve.run(version("v0", 4, ends))
                wait_until(lambda: replica_states() == {"Ends": {"RUNNING": 4}})
                expected += 8
        load.more(30)
    assert load.failures == []
    assert len(set(load.answers)) >= 2
    serve.delete("default")
    lines = ends.read_text().splitlines()
    assert [line for line in lines if not line.endswith(" ended")] == []
    assert len({line.split()[0] for line in lines}) == len(lines) == expected + 4  # each once
