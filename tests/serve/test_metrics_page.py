"""The page of metrics; a session that counts."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import grpc
import httpx
import pytest
import websockets
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from tests.serve.controller import kill_controller
from tests.serve.gate import Gated
from tests.serve.grpc_services import Stub
from tests.serve.preloaded import PRELOADED
from tests.serve.sizes import size
from tests.serve.waiting import replicas, wait_until

SERVICE = "tests.serve.grpc_services.add_TextsServicer_to_server"
Found = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    services = serve.gRPCOptions(port=0, grpc_servicer_functions=(SERVICE,))
    serve.start(serve.HTTPOptions(port=0, metrics=True), grpc_options=services)
    yield
    serve.shutdown()
    ray.shutdown()


def scrape(http: httpx.Client) -> Found:
    answer = http.get("/-/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(found: Found, name: str, **labels: str) -> float:
    """The sum of the series that have some labels."""
    wanted = set(labels.items())
    return sum(number for (known, has), number in found.items() if known == f"ray_{name}" and wanted <= has)


def names(found: Found) -> set[str]:
    return {name.removeprefix("ray_") for name, _ in found}


@serve.deployment
class Plain:
    def __init__(self, back: Any = None) -> None:
        self.back = back

    async def __call__(self, request: Request) -> Any:
        if request.query_params.get("fail"):
            raise ValueError("wrong")
        return await self.back.double.remote(2) if self.back is not None else "fine"


@serve.deployment
class Back:
    def __init__(self) -> None:
        self.doubled = serve.metrics.Counter("doubled", "Numbers doubled.", tag_keys=("kind",))
        self.sizes = serve.metrics.Histogram("sizes", "Sizes.", boundaries=[1, 10])
        self.last = serve.metrics.Gauge("last", "The last number.")

    def double(self, number: int) -> int:
        self.doubled.inc(tags={"kind": "even"})
        self.sizes.observe(number)
        self.last.set(number)
        return 2 * number


def test_requests_by_http_and_by_handle(http: httpx.Client) -> None:
    serve.run(Plain.bind(Back.bind()), name="shop", route_prefix="/shop")
    for _ in range(3):
        http.get("/shop")
    http.get("/shop?fail=1")
    found = scrape(http)
    labels = {"application": "shop", "route": "/shop", "method": "GET"}
    assert value(found, "serve_num_http_requests_total", **labels, status_code="200") == 3
    assert value(found, "serve_num_http_requests_total", **labels, status_code="500") == 1
    assert value(found, "serve_num_http_error_requests_total", **labels, error_code="500") == 1
    assert value(found, "serve_http_request_latency_ms_count", **labels) == 4
    assert value(found, "serve_http_request_latency_ms_sum", **labels) > 0
    for deployment, requests, errors in (("Plain", 4, 1), ("Back", 3, 0)):
        labels = {"application": "shop", "deployment": deployment, "route": "/shop"}
        assert value(found, "serve_deployment_request_counter_total", **labels) == requests
        assert value(found, "serve_deployment_error_counter_total", **labels) == errors
        assert value(found, "serve_deployment_processing_latency_ms_count", **labels) == requests
        del labels["route"]
        assert value(found, "serve_deployment_replica_starts_total", **labels) == 1
        assert value(found, "serve_deployment_replica_healthy", **labels) == 1
        assert value(found, "serve_replica_processing_queries", **labels) == 0
    assert value(found, "serve_num_router_requests_total", deployment="Back") == 3
    calls = {"application": "shop", "deployment": "Back", "route": "/shop"}
    assert value(found, "serve_handle_request_counter_total", **calls) == 3
    assert value(found, "serve_handle_request_counter_total", deployment="Plain") == 0  # those came by HTTP


def test_statuses_and_what_the_controller_does(http: httpx.Client, tmp_path: Path) -> None:
    sick = tmp_path / "sick"

    @serve.deployment(health_check_period_s=0.1)
    class Checked:
        def check_health(self) -> None:
            if sick.exists():
                sick.unlink()
                raise RuntimeError("sick for a moment")

    @serve.deployment
    class Fails:
        def __init__(self) -> None:
            raise ValueError("never")

    serve.run(Checked.bind(), name="good", route_prefix="/good")
    with pytest.raises(RuntimeError, match="never"):
        serve.run(Fails.bind(), name="bad", route_prefix="/bad")
    wait_until(lambda: value(scrape(http), "serve_application_status", application="good") == 6)
    sick.touch()
    labels = {"application": "good", "deployment": "Checked"}
    wait_until(lambda: value(scrape(http), "serve_health_check_failures_total", **labels) == 1)
    wait_until(lambda: value(scrape(http), "serve_deployment_status", **labels) == 6)
    found = scrape(http)
    assert value(found, "serve_application_status", application="bad") == 1
    assert value(found, "serve_deployment_status", application="bad", deployment="Fails") == 1
    assert value(found, "serve_proxy_status", node_id=ray.get_runtime_context().get_node_id()) == 2
    assert value(found, "serve_health_check_latency_ms_count", **labels) >= 2
    loops = value(found, "serve_controller_num_control_loops")
    wait_until(lambda: value(scrape(http), "serve_controller_num_control_loops") > loops)
    assert value(found, "serve_controller_control_loop_duration_s") > 0
    kill_controller()
    wait_until(lambda: value(scrape(http), "serve_application_status", application="bad") == 1)
    for name in ("good", "bad"):
        serve.delete(name)
    wait_until(lambda: not any(name.endswith("_application_status") for name in names(scrape(http))))


def test_users_own(http: httpx.Client) -> None:
    serve.run(Plain.bind(Back.bind()), name="shop", route_prefix="/shop")
    for _ in range(2):
        http.get("/shop")
    own = {"application": "shop", "deployment": "Back", "route": "/shop"}
    wait_until(lambda: value(scrape(http), "doubled_total", kind="even", **own) == 2)
    found = scrape(http)
    assert value(found, "last", **own) == 2
    assert [value(found, "sizes_bucket", le=end, **own) for end in ("1.0", "10.0", "+Inf")] == [0, 2, 2]
    assert value(found, "sizes_sum", **own) == 4
    serve.delete("shop")
    wait_until(lambda: "doubled_total" not in names(scrape(http)))


def test_what_is_held_and_what_waits(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1, num_replicas=1).bind(gate))
    held = [handle.remote() for _ in range(3)]
    wait_until(lambda: value(scrape(http), "serve_deployment_queued_queries", deployment="Gated") == 2)
    assert value(scrape(http), "serve_replica_processing_queries", deployment="Gated") == 1
    held[2].cancel()
    wait_until(lambda: value(scrape(http), "serve_deployment_queued_queries", deployment="Gated") == 1)
    ray.get(gate.open.remote())
    for response in held[:2]:
        response.result()
    found = scrape(http)
    assert value(found, "serve_deployment_queued_queries") == value(found, "serve_num_ongoing_http_requests") == 0
    wait_until(lambda: value(scrape(http), "serve_replica_processing_queries") == 0)


def test_what_autoscaling_wants(http: httpx.Client, gate: Any) -> None:
    scaling = {"max_replicas": 3, "target_ongoing_requests": 1, "metrics_interval_s": 0.1, "upscale_delay_s": 0}
    handle = serve.run(Gated.options(autoscaling_config=scaling | {"look_back_period_s": 0.2}).bind(gate))
    held = [handle.remote() for _ in range(5)]

    def shown() -> list[float]:
        found = scrape(http)
        names = ("target_replicas", "desired_replicas", "total_requests")
        return [value(found, f"serve_autoscaling_{name}", deployment="Gated") for name in names]

    wait_until(lambda: shown() == [3, 3, 5])
    assert value(scrape(http), "serve_autoscaling_policy_execution_time_ms", deployment="Gated") > 0
    ray.get(gate.open.remote())
    for response in held:
        response.result()
    wait_until(lambda: shown()[1:] == [1, 0])
    serve.run(Plain.bind(), name="fixed", route_prefix="/fixed")
    wait_until(lambda: value(scrape(http), "serve_autoscaling_target_replicas", application="fixed") == 1)
    assert not [labels for name, labels in scrape(http) if "desired" in name and ("application", "fixed") in labels]
    kill_controller()
    wait_until(lambda: value(scrape(http), "serve_autoscaling_target_replicas", deployment="Gated") in (1, 2, 3))


@serve.deployment
class Texts:
    async def Upper(self, request: StringValue) -> StringValue:
        if request.value == "fail":
            raise ValueError("no such text")
        return StringValue(value=request.value.upper())


def test_calls_by_grpc(http: httpx.Client) -> None:
    serve.run(Texts.bind(), name="texts", route_prefix="/texts")
    with grpc.insecure_channel(serve.status().grpc_address) as channel:
        stub = Stub(channel)
        assert [stub.Upper(StringValue(value="a"), timeout=60).value for _ in range(3)] == ["A"] * 3
        with pytest.raises(grpc.RpcError):
            stub.Upper(StringValue(value="fail"), timeout=60)
    labels = {"application": "texts", "method": "Upper"}
    wait_until(lambda: value(scrape(http), "serve_num_grpc_requests_total", **labels) == 4)
    found = scrape(http)
    assert value(found, "serve_num_grpc_requests_total", status_code="OK", **labels) == 3
    assert value(found, "serve_num_grpc_error_requests_total", error_code="INTERNAL", **labels) == 1
    assert value(found, "serve_grpc_request_latency_ms_count", **labels) == 4


@serve.deployment(max_ongoing_requests=10)
class Batches:
    @serve.batch(max_batch_size=3, batch_wait_timeout_s=10)
    async def total(self, numbers: list[int]) -> list[int]:
        return [sum(numbers)] * len(numbers)


def test_batches(http: httpx.Client) -> None:
    handle = serve.run(Batches.bind(), name="batches", route_prefix=None)
    for _ in range(2):
        responses = [handle.total.remote(number) for number in (1, 2, 3)]
        assert [response.result() for response in responses] == [6, 6, 6]
    labels = {"application": "batches", "deployment": "Batches", "function_name": "total"}
    found = scrape(http)
    assert value(found, "serve_batches_processed_total", **labels) == 2
    assert value(found, "serve_actual_batch_size_sum", **labels) == 6
    assert [value(found, "serve_actual_batch_size_bucket", **labels, le=end) for end in ("2.0", "4.0")] == [0, 2]
    assert value(found, "serve_batch_wait_time_ms_count", **labels) == 2
    assert value(found, "serve_batch_utilization_percent_sum", **labels) == 200
    assert value(found, "serve_batch_queue_length", **labels) == 0
    assert value(found, "serve_batch_execution_time_ms_count", **labels) == 2


def api() -> Any:
    app = fastapi.FastAPI()

    @app.get("/users/{user}")
    def user(user: str) -> str:
        return user

    @app.websocket("/talk/{user}")
    async def talk(socket: fastapi.WebSocket, user: str) -> None:
        await socket.accept()
        await socket.send_text(user)
        await socket.close(4000 if user == "bad" else 1000)

    return app


@serve.deployment
@serve.ingress(api)
class Api: ...


def test_series_are_bounded(http: httpx.Client) -> None:
    serve.run(Api.bind(), name="api", route_prefix="/api")
    serve.run(Plain.bind(), name="plain", route_prefix="/plain")

    def ask(number: int) -> None:
        http.get(f"/api/users/{number}", headers={"x-request-id": f"id-{number}"})
        http.get(f"/api/nothing/{number}")
        http.get(f"/nothing/{number}")
        http.get(f"/plain/{number}")
        if number < 50:
            http.request(f"MADE{'ABCDEFGHIJ'[number % 10]}{'ABCDE'[number // 10]}", "/plain")

    def series() -> set[Any]:
        # Those of routers come with the first request that is handed over, whoever it is from, and those of health
        # checks with the first check.
        later = ("rout", "queued", "health_check")
        return {(name, labels) for name, labels in scrape(http) if not any(word in name for word in later)}

    for number in range(3):
        ask(number)
    before = series()
    for number in range(3, 1000):
        ask(number)
    found = scrape(http)
    assert series() == before
    routes = {dict(labels)["route"] for name, labels in found if name == "ray_serve_num_http_requests_total"}
    assert routes == {"/api/users/{user}", "/plain", "unmatched"}
    methods = {dict(labels)["method"] for name, labels in found if name == "ray_serve_num_http_requests_total"}
    assert methods <= {"GET", "OTHER"}
    assert value(found, "serve_num_http_requests_total", route="/api/users/{user}") == 1000
    assert value(found, "serve_num_http_requests_total", route="unmatched", application="") >= 1000


async def test_a_websocket_counts_once_and_a_normal_close_is_no_error(http: httpx.Client) -> None:
    await asyncio.to_thread(serve.run, Api.bind(), name="talk", route_prefix="/ws")
    address = f"ws://{http.base_url.host}:{http.base_url.port}/ws/talk"
    for user in ("ann", "bob", "bad"):
        async with websockets.connect(f"{address}/{user}") as client:
            assert await client.recv() == user
            with pytest.raises(websockets.ConnectionClosed):
                await client.recv()
    labels = {"application": "talk", "route": "/ws/talk/{user}", "method": "WEBSOCKET"}

    def count(name: str, code: str) -> float:
        return value(scrape(http), f"serve_num_http_{name}", **labels, status_code=code)

    await asyncio.to_thread(wait_until, lambda: count("requests_total", "1000") == 2)
    await asyncio.to_thread(wait_until, lambda: count("requests_total", "4000") == 1)
    assert (count("error_requests_total", "1000"), count("error_requests_total", "4000")) == (0, 1)


@serve.deployment
class Many:
    def __init__(self, version: int) -> None:
        self.version = version

    async def __call__(self, request: Request) -> int:
        return self.version

    @serve.multiplexed(max_num_models_per_replica=2)
    async def get_model(self, model_id: str) -> str:
        return model_id

    async def model(self) -> str:
        model: str = await self.get_model(serve.get_multiplexed_model_id())
        return model


def test_series_of_what_is_gone_are_gone(http: httpx.Client) -> None:
    answered = 0
    before: Found = {}
    versions = size(12, 50)
    for version in range(versions):
        handle = serve.run(Many.bind(version), name="many", route_prefix="/many")
        answered += sum(http.get("/many").status_code == 200 for _ in range(3))
        for model in range(5):
            name = f"m{version}-{model}"
            assert handle.options(multiplexed_model_id=name).model.remote().result() == name
        found = scrape(http)
        total = value(found, "serve_num_http_requests_total", application="many", status_code="200")
        assert total == answered
        counters = {key for key in found if key[0].endswith(("_total", "_count", "_bucket", "_sum"))}
        assert [key for key in counters & set(before) if found[key] < before[key]] == []
        before = found

    def shown() -> set[str]:
        labels = [dict(labels) for _, labels in scrape(http)]
        return {one["replica"] for one in labels if one.get("application") == "many" and "replica" in one}

    wait_until(lambda: len(shown()) == 1)
    models = {dict(labels)["model_id"] for name, labels in scrape(http) if "model_id" in dict(labels)}
    assert models == {f"m{versions - 1}-3", f"m{versions - 1}-4"}
    found = scrape(http)
    assert value(found, "serve_num_multiplexed_models") == 2
    assert value(found, "serve_multiplexed_models_load_counter_total") == 5
    assert value(found, "serve_multiplexed_models_unload_counter_total") == 3
    serve.delete("many")
    wait_until(lambda: not any(dict(labels).get("application") == "many" for _, labels in scrape(http)))


def test_a_killed_replica_takes_no_counts_along(http: httpx.Client) -> None:
    serve.run(Plain.bind(), name="plain", route_prefix="/plain")
    for _ in range(5):
        http.get("/plain")

    def total() -> float:
        with httpx.Client(base_url=http.base_url, timeout=30) as client:
            return value(scrape(client), "serve_num_http_requests_total", application="plain")

    assert total() == 5
    (name,) = [name for name in replicas() if "#Plain#" in name]
    ray.kill(ray.get_actor(name, namespace="serve"))
    wait_until(lambda: is_gone(name.rpartition("#")[2]))
    assert total() == 5
    assert httpx.get(f"{http.base_url}/plain").status_code == 200
    assert total() == 6


def is_gone(replica: str) -> bool:
    """Whether a replica has no series any more; those that had a connection to it get none."""
    try:
        return replica not in httpx.get(f"http://{serve.status().http_address}/-/metrics").text
    except httpx.TransportError:
        return False


async def test_every_process_gives_the_same_page(http: httpx.Client) -> None:
    await asyncio.to_thread(serve.run, Plain.options(num_replicas=3).bind(), name="plain", route_prefix="/plain")
    for _ in range(10):
        async with httpx.AsyncClient(base_url=http.base_url) as client:
            await client.get("/plain")
    pages = set()
    for _ in range(10):
        async with httpx.AsyncClient(base_url=http.base_url) as client:
            lines = (await client.get("/-/metrics")).text.splitlines()
            # Health checks go on meanwhile.
            pages.add(tuple(sorted(line for line in lines if "plain" in line and "health_check" not in line)))
    assert len(pages) == 1


def test_open_metrics(http: httpx.Client) -> None:
    answer = http.get("/-/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_tags_of_serve_are_not_for_users() -> None:
    with pytest.raises(ValueError, match=r"\['replica'\] are set by Serve"):
        serve.metrics.Counter("mine", tag_keys=("replica",))
