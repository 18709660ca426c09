"""The web service, as its readers start it: requests, killed workers, clients that go away, bad input, Ctrl-C."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from examples.web_service import SIGNATURE_LENGTH, signature
from tests.test_source import ROOT

TIMEOUT_S = 100
TEXTS = {
    "hamlet": "to be or not to be that is the question whether tis nobler in the mind to suffer",
    "hamlet, misquoted": "to be or not to be that is the question whether it is nobler in the mind to suffer",
    "a nursery rhyme": "mary had a little lamb its fleece was white as snow and everywhere that mary went",
}


class Service:
    """The running service and a client of it."""

    def __init__(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient, log: list[str]) -> None:
        self.process = process
        self.client = client
        self.log = log

    async def fill(self) -> None:
        posts = [self.client.post("/documents", json={"name": name, "text": text}) for name, text in TEXTS.items()]
        answers = await asyncio.gather(*posts)
        assert [answer.status_code for answer in answers] == [201] * len(TEXTS)
        assert max(answer.json()["documents"] for answer in answers) == len(TEXTS)

    async def best(self, text: str) -> list[str]:
        answer = await self.client.get("/similar", params={"text": text, "limit": 2})
        assert answer.status_code == 200, answer.text
        return [row["name"] for row in answer.json()]

    async def index_pid(self) -> int:
        return int((await self.client.get("/health")).json()["index_pid"])


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Service]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "examples.web_service", "--port", "0", "--journal", "index.jsonl"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert process.stderr is not None
    log: list[str] = []
    address = None
    while address is None:
        line = (await asyncio.wait_for(process.stderr.readline(), TIMEOUT_S)).decode()
        assert line, "".join(log)
        log.append(line)
        address = re.search(r"http://[\d.:]+", line)
    drain = asyncio.ensure_future(process.stderr.read())
    try:
        async with httpx.AsyncClient(base_url=address[0], timeout=TIMEOUT_S) as client:
            yield Service(process, client, log)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # Ctrl-C
        await asyncio.wait_for(process.wait(), TIMEOUT_S)
        log.append((await drain).decode())


async def test_requests_killed_workers_and_ctrl_c(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        await service.fill()
        assert await service.best(TEXTS["hamlet"]) == ["hamlet", "hamlet, misquoted"]
        first = await service.index_pid()
        os.kill(first, signal.SIGKILL)
        assert (await service.best(TEXTS["a nursery rhyme"]))[0] == "a nursery rhyme"
        assert await service.index_pid() != first
    assert service.process.returncode == 0
    assert "Application shutdown complete" in service.log[-1] and "Traceback" not in "".join(service.log)


async def test_bad_input_is_an_answer(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        for answer in (
            await service.client.post("/documents", json={"nam": "x"}),
            await service.client.post("/documents", content=b"{"),
            await service.client.post("/documents", json={"name": "", "text": "x"}),
            await service.client.get("/similar"),
        ):
            assert answer.status_code == 422
        assert (await service.client.get("/nothing")).status_code == 404
        assert await service.best("anything") == []


async def test_a_client_that_goes_away_leaves_the_service_working(tmp_path: Path) -> None:
    async with started(tmp_path) as service:
        large = {"name": "large", "text": " ".join(str(n) for n in range(120_000))}
        requests = [asyncio.ensure_future(service.client.post("/documents", json=large)) for _ in range(8)]
        await service.index_pid()
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        await service.fill()
        assert (await service.best(TEXTS["hamlet"]))[0] == "hamlet"


@pytest.mark.parametrize(
    ("one", "other", "low", "high"), [("hamlet", "hamlet", 1.0, 1.0), ("hamlet", "a nursery rhyme", 0.0, 0.05)]
)
def test_signatures_estimate_similarity(one: str, other: str, low: float, high: float) -> None:
    left, right = signature._function(TEXTS[one]), signature._function(TEXTS[other])
    assert left.shape == (SIGNATURE_LENGTH,)
    assert low <= (left == right).mean() <= high
