"""Spans of OpenTelemetry: one for each request, calls by handle below it."""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.telemetry.spans import get_tracer
from tests.serve.gate import Gated
from tests.serve.preloaded import PRELOADED
from tests.serve.span_file import spans
from tests.serve.waiting import wait_until

NUMBERS = itertools.count()
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0), tracing_config=serve.TracingConfig("tests.serve.span_file:processors"))
    yield
    serve.shutdown()
    ray.shutdown()


@serve.deployment
class Front:
    def __init__(self, back: Any) -> None:
        self.back = back

    async def __call__(self, request: Request) -> Any:
        kind = request.query_params.get("kind", "double")
        if kind == "stream":
            return self.stream()
        return await getattr(self.back, kind).remote(4)

    async def stream(self) -> AsyncIterator[str]:
        async for number in self.back.options(stream=True).count.remote(2):
            yield str(number)
        await asyncio.Event().wait()


@serve.deployment
class Back:
    async def double(self, number: int) -> int:
        return 2 * number

    def fail(self, number: int) -> int:
        raise KeyError("x")

    def count(self, end: int) -> Iterator[int]:
        yield from range(end)


def ask(http: httpx.Client, request_id: str, kind: str = "", **headers: str) -> dict[str, dict[str, Any]]:
    """Ask, and give the two spans of that."""
    http.get(f"/shop{kind}", headers={"x-request-id": request_id, **headers})
    return both_spans(request_id)


def both_spans(request_id: str) -> dict[str, dict[str, Any]]:
    wait_until(lambda: len(spans(request_id)) == 2)
    return spans(request_id)


def cut_off(http: httpx.Client) -> dict[str, dict[str, Any]]:
    """Have an answer cut off by its time after it has begun, and give its spans."""
    for number in range(8):
        request_id = f"cut-{next(NUMBERS)}"
        headers = {"x-request-id": request_id, "x-request-timeout-seconds": str(0.3 * 2**number)}
        try:
            assert http.get("/shop?kind=stream", headers=headers).status_code == 408  # it had not begun by then
        except httpx.RemoteProtocolError:
            return both_spans(request_id)
    raise AssertionError("no answer begins")


def test_calls_are_children_of_their_request(http: httpx.Client) -> None:
    serve.run(Front.bind(Back.bind()), name="shop", route_prefix="/shop")
    found = ask(http, "traced", traceparent=f"00-{TRACE}-{PARENT}-01")
    request, call = found["GET /shop"], found["Back.double"]
    assert request["context"]["trace_id"] == call["context"]["trace_id"] == f"0x{TRACE}"
    assert request["parent_id"] == f"0x{PARENT}"
    assert call["parent_id"] == request["context"]["span_id"]
    assert request["attributes"]["http.response.status_code"] == 200
    assert request["attributes"]["ray.serve.deployment"] == "Front"
    assert request["status"]["status_code"] == call["status"]["status_code"] == "UNSET"
    # Without a parent a trace of its own begins.
    found = ask(http, "alone")
    assert found["GET /shop"]["parent_id"] is None
    assert found["GET /shop"]["context"]["trace_id"] != f"0x{TRACE}"


def test_errors(http: httpx.Client) -> None:
    serve.run(Front.bind(Back.bind()), name="shop", route_prefix="/shop")
    found = ask(http, "failing", "?kind=fail")
    for name, description in (("GET /shop", "500"), ("Back.fail", "ERROR")):
        assert found[name]["status"] == {"status_code": "ERROR", "description": description}
        assert found[name]["events"][0]["name"] == "exception"


@pytest.mark.parametrize("holder", ["replica", "front"])
def test_answers_that_are_cut_off(http: httpx.Client, front: httpx.Client, holder: str) -> None:
    """A front has no spans of its own: the replica's must say what the client has seen."""
    serve.run(Front.bind(Back.bind()), name="shop", route_prefix="/shop")
    found = cut_off(front if holder == "front" else http)
    assert found["GET /shop"]["status"] == {"status_code": "ERROR", "description": "408"}
    assert found["Back.count"]["parent_id"] == found["GET /shop"]["context"]["span_id"]


def test_a_request_that_is_handed_over_has_one_span(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1, num_replicas=2).bind(gate), name="gated")
    held = [handle.remote(number) for number in range(2)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 2)

    async def several() -> None:
        async with httpx.AsyncClient(base_url=http.base_url, timeout=60) as client:
            asks = [asyncio.create_task(client.get("/", headers={"x-request-id": f"over-{n}"})) for n in range(4)]
            await gate.open.remote()
            assert [answer.status_code for answer in await asyncio.gather(*asks)] == [200] * 4

    asyncio.run(several())
    assert [response.result() for response in held] == [0, 1]
    for number in range(4):
        wait_until(lambda number=number: spans(f"over-{number}"))  # type: ignore[misc]
        assert set(spans(f"over-{number}")) == {"GET /"}


def test_nothing_is_imported_where_nobody_traces() -> None:
    program = (
        "import sys\nfrom ray_async import serve\nfrom ray_async.serve.telemetry.spans import get_tracer\n"
        "assert get_tracer(None) is None\nassert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=dict(os.environ), timeout=60)


def test_bad_configurations() -> None:
    with pytest.raises(ValueError, match="module:function"):
        serve.TracingConfig("processors")
    with pytest.raises(ValueError, match="sampling_ratio"):
        serve.TracingConfig("a:b", sampling_ratio=2)
    with pytest.raises(RayServeException, match="is no function"):
        get_tracer(serve.TracingConfig("tests.serve.span_file:missing"))
