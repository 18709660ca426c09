"""Streams that fail or take too long after their beginning, two stages deep: no client takes them for whole."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from tests.serve.log_lines import log_lines
from tests.serve.waiting import ongoing, wait_until


@serve.deployment
class Inner:
    def __init__(self, gate: Any) -> None:
        self.gate = gate
        self.closed = 0

    async def chunks(self, end: str) -> AsyncIterator[str]:
        try:
            for chunk in "abc":
                yield chunk
            if end == "raises":
                raise ValueError(end)
            await self.gate.wait.remote()
        finally:
            self.closed += 1

    async def count(self) -> int:
        return self.closed


@serve.deployment
class Middle:
    def __init__(self, inner: Any) -> None:
        self.inner = inner.options(stream=True)

    async def chunks(self, end: str) -> AsyncIterator[str]:
        async for chunk in self.inner.chunks.remote(end):
            yield chunk


@serve.deployment
class Outer:
    def __init__(self, middle: Any) -> None:
        self.middle = middle.options(stream=True)

    async def __call__(self, request: Request) -> Any:
        return self.chunks(request.query_params["end"])

    async def chunks(self, end: str) -> AsyncIterator[str]:
        async for chunk in self.middle.chunks.remote(end):
            yield chunk


@pytest.mark.parametrize(("end", "status"), [("raises", 500), ("holds", 408)])
def test_two_stages_deep(http: httpx.Client, gate: Any, end: str, status: int) -> None:
    serve.run(Outer.bind(Middle.bind(Inner.bind(gate))))
    received: list[str] = []
    headers = {"x-request-id": f"cut-{end}", "x-request-timeout-seconds": "3" if end == "holds" else "60"}
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete"),
        http.stream("GET", f"/?end={end}", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        for text in answer.iter_text():
            received.append(text)
    assert "".join(received) == "abc"
    inner = serve.get_deployment_handle("Inner", "default")
    wait_until(lambda: inner.count.remote().result() == 1)
    wait_until(lambda: ongoing() == 0)
    wait_until(lambda: [line for line in log_lines(f" cut-{end} ") if " GET " in line])
    (line,) = [line for line in log_lines(f" cut-{end} ") if " GET " in line]
    assert f" GET / {status} " in line
    ray.get(gate.open.remote())
