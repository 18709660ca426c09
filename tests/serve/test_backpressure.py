"""How clients are told that too many requests wait."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import BackpressureConfig
from ray_async.serve.exceptions import BackPressureError
from tests.serve.gate import Gated
from tests.serve.waiting import wait_until

FULL = {"max_ongoing_requests": 1, "max_queued_requests": 0}
app = FastAPI()


@serve.deployment
class Parent:
    def __init__(self, child: Any) -> None:
        self.child = child

    async def __call__(self, request: Any) -> Any:
        return await self.child.remote(1)


@serve.deployment
@serve.ingress(app)
class ApiParent:
    def __init__(self, child: Any) -> None:
        self.child = child

    @app.get("/")
    async def get(self) -> Any:
        return await self.child.remote(1)


@pytest.mark.parametrize("parent", [Parent, ApiParent])
@pytest.mark.parametrize(
    ("config", "status", "retry"),
    [
        (None, 503, None),
        (BackpressureConfig(429), 429, None),
        ({"status_code": 429, "retry_after_s": 1.2}, 429, "2"),
        ({"retry_after_s": 0}, 503, "0"),
    ],
)
def test_clients_of_a_full_child(
    http: httpx.Client, gate: Any, parent: Any, config: Any, status: int, retry: str | None
) -> None:
    child = Gated.options(**FULL, backpressure_config=config).bind(gate)
    serve.run(parent.bind(Parent.options(name="Middle").bind(child)))
    handle = serve.get_deployment_handle("Gated", "default")
    held = handle.remote(1)
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    answer = http.get("/")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry)
    with pytest.raises(BackPressureError) as info:
        handle.remote(2).result()
    assert (info.value.status_code, info.value.deployment, info.value.limit) == (status, "Gated", 0)
    ray.get(gate.open.remote())
    assert held.result() == 1


def test_an_application_that_answers_refusals_itself(http: httpx.Client, gate: Any) -> None:
    from fastapi.responses import PlainTextResponse

    own = FastAPI()

    @own.exception_handler(serve.exceptions.RayServeException)
    async def mine(request: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("mine", 418)

    @serve.deployment
    @serve.ingress(own)
    class Api:
        def __init__(self, child: Any) -> None:
            self.child = child

        @own.get("/")
        async def get(self) -> Any:
            return await self.child.remote(1)

    serve.run(Api.bind(Gated.options(**FULL).bind(gate)))
    held = serve.get_deployment_handle("Gated", "default").remote(1)
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    answer = http.get("/")
    assert (answer.status_code, answer.text) == (418, "mine")
    ray.get(gate.open.remote())
    assert held.result() == 1


def test_clients_of_a_full_deployment(http: httpx.Client, gate: Any) -> None:
    options = {"max_ongoing_requests": 1, "max_queued_requests": 0, "backpressure_config": {"status_code": 429}}
    serve.run(Gated.options(**options).bind(gate))
    handle = serve.get_app_handle("default")
    held = handle.remote(1)
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: http.get("/"), range(4)))
    assert [answer.status_code for answer in answers] == [429] * 4
    assert "max_queued_requests=0" in answers[0].text
    # Another configuration needs no other replicas.
    serve.run(Gated.options(**options | {"backpressure_config": {"retry_after_s": 3}}).bind(gate))
    answer = http.get("/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    ray.get(gate.open.remote())
    assert held.result() == 1


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"status_code": 500}, ValueError),
        ({"retry_after_s": -1}, ValueError),
        ({"retry_after": 1}, ValueError),
        (429, TypeError),
    ],
)
def test_bad_configurations(config: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Gated.options(backpressure_config=config)
