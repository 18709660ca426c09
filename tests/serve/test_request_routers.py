"""Request routers of one's own, in what is served: by handle and by HTTP, with statistics, and where they fail."""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import RequestRouterConfig
from ray_async.serve.exceptions import BackPressureError
from ray_async.serve.request_router import (
    FIFOMixin,
    LocalityMixin,
    MultiplexMixin,
    PendingRequest,
    PowerOfTwoChoicesRequestRouter,
    ReplicaID,
    ReplicaResult,
    RequestRouter,
    RunningReplica,
)
from tests.serve.controller import kill_controller, replica_pids
from tests.serve.waiting import wait_until


@serve.deployment(num_replicas=3)
class Who:
    """Answers by its replica's id."""

    def __init__(self) -> None:
        self.fast = 0

    async def __call__(self, request: Any = None) -> str:
        return serve.get_replica_context().replica_id

    async def set_fast(self, value: int) -> None:
        self.fast = value

    def record_routing_stats(self) -> dict[str, Any]:
        return {"fast": self.fast}

    async def pid(self) -> int:
        return os.getpid()


class First(RequestRouter):
    """Sends all to the replica whose id is the first one of the alphabet, or the last."""

    def initialize_state(self, last: bool = False) -> None:
        self.last = last

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        by_id = sorted(candidate_replicas, key=lambda one: one.replica_id.unique_id, reverse=self.last)
        return [[by_id[0]]]


class BySession(RequestRouter):
    """Sends requests with the header to a replica of their own, others anywhere."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        assert pending_request is not None
        metadata = pending_request.metadata
        assert metadata.is_http_request
        by_id = sorted(candidate_replicas, key=lambda one: one.replica_id.unique_id)
        return [[by_id[sum(metadata.session_id.encode()) % len(by_id)]]]


class ByStatistics(FIFOMixin, MultiplexMixin, LocalityMixin, RequestRouter):
    """Sends requests to the fastest replica on the node."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        near = self.select_available_replicas(self.rank_replicas_via_locality(candidate_replicas)[0])
        return [sorted(near, key=lambda one: -one.routing_stats.get("fast", 0))[:1]]


class Failing(RequestRouter):
    """Fails in the way that it is told."""

    def initialize_state(self, way: str) -> None:
        self.way = way

    async def choose_replicas(self, candidate_replicas: Any, pending_request: Any = None) -> Any:
        if self.way == "raises":
            raise LookupError("no idea")
        return {"none": None, "text": "ab", "flat": list(candidate_replicas), "strange": [["somebody"]]}[self.way]

    def on_request_routed(self, pending_request: Any, replica_id: Any, result: Any) -> None:
        raise LookupError("no idea what came of it")


class Noting(PowerOfTwoChoicesRequestRouter):
    """Notes what it is told."""

    def initialize_state(self, notes: Any) -> None:
        self.notes = notes

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: ReplicaResult) -> None:
        result.add_done_callback(
            lambda result: self.notes.add.remote(replica_id.unique_id, pending_request.args, result.exception())
        )


class Notes:
    def __init__(self) -> None:
        self.notes: list[Any] = []

    def add(self, *note: Any) -> None:
        self.notes.append(note)

    def all(self) -> list[Any]:
        return self.notes


def ids() -> list[str]:
    return sorted(name.rpartition("#")[2] for name in replica_pids())


def routed(router: Any, **kwargs: Any) -> dict[str, Any]:
    return {"request_router_config": RequestRouterConfig(router, kwargs)}


def test_calls_go_where_the_router_says(http: httpx.Client) -> None:
    handle = serve.run(Who.options(**routed(First)).bind())
    first = ids()[0]
    assert {handle.remote().result() for _ in range(20)} == {first}
    assert {http.get("/").text for _ in range(20)} == {first}
    # Each connection is one that any replica may have accepted.
    assert {httpx.get(http.base_url).text for _ in range(20)} == {first}


def test_another_router_takes_over_in_the_same_replicas(http: httpx.Client) -> None:
    handle = serve.run(Who.bind())
    pids = replica_pids()
    assert len({handle.remote().result() for _ in range(50)}) == 3
    serve.run(Who.options(**routed(First)).bind())
    assert {handle.remote().result() for _ in range(20)} == {ids()[0]}
    serve.run(Who.options(**routed(First, last=True)).bind())
    assert {handle.remote().result() for _ in range(20)} == {ids()[-1]}
    assert {http.get("/").text for _ in range(20)} == {ids()[-1]}
    serve.run(Who.bind())
    assert len({handle.remote().result() for _ in range(50)}) == 3
    assert replica_pids() == pids


def test_requests_by_http_show_their_headers(http: httpx.Client) -> None:
    serve.run(Who.options(**routed(BySession)).bind())
    sessions = {name: {http.get("/", headers={"X-Session-Id": name}).text for _ in range(10)} for name in "abc"}
    assert all(len(found) == 1 for found in sessions.values())
    assert len(set().union(*sessions.values())) == 3


def test_a_class_tells_routers_its_statistics(http: httpx.Client) -> None:
    config = RequestRouterConfig(ByStatistics, request_routing_stats_period_s=0.1)
    handle = serve.run(Who.options(request_router_config=config).bind())

    def fastest(number: int) -> str:
        chosen: str = handle.remote().result()
        handle.set_fast.remote(-number).result()  # of the fastest one, which is not that any more
        wait_until(lambda: handle.remote().result() != chosen)
        return chosen

    assert {fastest(number) for number in (1, 2, 3)} == set(ids())


def test_a_config_file_names_a_router(http: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray_async.serve.deploying.from_config import built_of
    from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema

    (tmp_path / "routed_program.py").write_text(
        "from ray_async import serve\n"
        "from ray_async.serve.request_router import RequestRouter\n"
        "class Least(RequestRouter):\n"
        "    def initialize_state(self, skip=0):\n"
        "        self.skip = skip\n"
        "    async def choose_replicas(self, candidate_replicas, pending_request=None):\n"
        "        return [[sorted(candidate_replicas, key=lambda one: one.replica_id.unique_id)[self.skip]]]\n"
        "@serve.deployment\n"
        "class Who:\n"
        "    def __call__(self, request=None):\n"
        "        return serve.get_replica_context().replica_id\n"
        "app = Who.bind()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    router = {"request_router_class": "routed_program:Least", "request_router_kwargs": {"skip": 1}}
    deployment = {"name": "Who", "num_replicas": 3, "request_router_config": router}
    config = {"applications": [{"import_path": "routed_program:app", "deployments": [deployment]}]}
    from ray_async.serve.api import deploy

    deploy(built_of(ServeDeploySchema.of(config)), None, wait=True)
    assert {http.get("/").text for _ in range(20)} == {ids()[1]}
    router["request_router_clas"] = ""
    with pytest.raises(
        ConfigError, match=r"deployments\[0\]\.request_router_config\.request_router_clas: .*mean 'requ"
    ):
        ServeDeploySchema.of(config)


@pytest.mark.parametrize("way", ["raises", "none", "text", "flat", "strange"])
def test_a_router_that_fails_costs_no_request(http: httpx.Client, way: str, caplog: pytest.LogCaptureFixture) -> None:
    handle = serve.run(Who.options(**routed(Failing, way=way)).bind())
    answers = Counter(handle.remote().result() for _ in range(60))
    assert len(answers) == 3
    assert http.get("/").status_code == 200
    said = [record.getMessage() for record in caplog.records if "Request router" in record.getMessage()]
    assert any("choose_replicas" in line for line in said)
    assert len(said) < 10  # not one line for each request
    if way != "raises":
        return
    assert any("on_request_routed failed: LookupError: no idea what came of it" in line for line in said)


def test_a_router_that_cannot_be_made_fails_the_deploy(http: httpx.Client) -> None:
    handle = serve.run(Who.bind())
    with pytest.raises(RuntimeError, match="unexpected keyword argument 'speed'"):
        serve.run(Who.options(**routed(First, speed=1)).bind())
    with pytest.raises(RuntimeError, match=r"no_such_module"):
        serve.run(Who.options(**routed("no_such_module:Router")).bind())
    with pytest.raises(RuntimeError, match=r"must inherit ray_async\.serve\.request_router\.RequestRouter"):
        serve.run(Who.options(**routed("collections:Counter")).bind())
    assert len({handle.remote().result() for _ in range(50)}) == 3


def test_what_finds_its_replica_full_waits_or_is_refused(http: httpx.Client, gate: Any) -> None:
    from tests.serve.gate import Gated

    options = {"num_replicas": 2, "max_ongoing_requests": 1, "max_queued_requests": 2}
    handle = serve.run(Gated.options(**options, **routed(First)).bind(gate))
    held = [handle.remote(number) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        results = [pool.submit(response.result) for response in held]
        wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
        with pytest.raises(BackPressureError):
            handle.remote(3).result()
        ray.get(gate.open.remote())
        assert [result.result(timeout=60) for result in results] == [0, 1, 2]
    assert handle.remote(4).result() == 4


def test_a_long_queue_has_its_bound(http: httpx.Client, gate: Any) -> None:
    from tests.serve.gate import Gated

    options = {"max_ongoing_requests": 1, "max_queued_requests": 70}
    handle = serve.run(Gated.options(**options, **routed(First)).bind(gate))
    responses = [handle.remote(number) for number in range(200)]
    with ThreadPoolExecutor(200) as pool:
        errors = [pool.submit(lambda response: response.result(), response) for response in responses]
        wait_until(lambda: sum(error.done() for error in errors) == 129)
        ray.get(gate.open.remote())
        ended = Counter(type(error.exception(timeout=60)) for error in errors)
    assert (ended[type(None)], ended[BackPressureError]) == (71, 129)


def test_a_waiting_call_is_cancelled(http: httpx.Client, gate: Any) -> None:
    from tests.serve.gate import Gated

    handle = serve.run(Gated.options(max_ongoing_requests=1, **routed(First)).bind(gate))
    first = handle.remote(1)
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    second = handle.remote(2)
    second.cancel()
    with pytest.raises(ray.exceptions.TaskCancelledError):
        second.result()
    ray.get(gate.open.remote())
    assert first.result() == 1
    assert handle.remote(3).result() == 3
    assert ray.get(gate.counts.remote())[0] == 2


def test_a_dead_replica_is_no_candidate(http: httpx.Client) -> None:
    handle = serve.run(Who.options(idempotent=True, **routed(First)).bind())
    kill_controller()
    first = ids()[0]
    assert handle.remote().result() == first
    os.kill(next(pid for name, pid in replica_pids().items() if name.endswith(first)), signal.SIGKILL)
    assert handle.remote().result() != first


def test_a_router_is_told_of_what_it_has_routed(http: httpx.Client) -> None:
    notes = ray.remote(Notes).options(num_cpus=0).remote()
    handle = serve.run(Who.options(**routed(Noting, notes=notes)).bind())
    answers = [handle.remote(number).result() for number in range(5)]
    wait_until(lambda: len(ray.get(notes.all.remote())) == 5)
    assert [(note[0], note[1]) for note in ray.get(notes.all.remote())] == [
        (answer, (number,)) for number, answer in enumerate(answers)
    ]
    ray.kill(notes)


def test_the_first_request_after_a_lull(http: httpx.Client) -> None:
    fast = {"metrics_interval_s": 0.1, "look_back_period_s": 0.2, "upscale_delay_s": 0, "downscale_delay_s": 0}
    to_zero = fast | {"min_replicas": 0, "max_replicas": 2}
    handle = serve.run(Who.options(autoscaling_config=to_zero, **routed(First)).bind())
    for ask in (lambda: http.get("/").text, lambda: handle.remote().result(), lambda: httpx.get(http.base_url).text):
        wait_until(lambda: not replica_pids())
        assert len(ask()) == 8


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a class or its import path"):
        RequestRouterConfig(3)
    with pytest.raises(ValueError, match="'module:name'"):
        RequestRouterConfig("router")
    with pytest.raises(ValueError, match="initial_backoff_s must be positive"):
        RequestRouterConfig(initial_backoff_s=0)
    with pytest.raises(ValueError, match="unknown key of request_router_config"):
        Who.options(request_router_config={"request_router": "a:b"})
    with pytest.raises(TypeError, match="a dict or a RequestRouterConfig"):
        Who.options(request_router_config=1)
    theirs = "ray.serve._private.request_router:PowerOfTwoChoicesRequestRouter"
    assert not RequestRouterConfig(theirs).is_custom
    assert RequestRouterConfig(theirs) == RequestRouterConfig() == RequestRouterConfig(PowerOfTwoChoicesRequestRouter)


class ByHeader(RequestRouter):
    """Sends websockets to the replica at the place that a header says; to none where it says so."""

    def initialize_state(self, notes: Any) -> None:
        self.notes = notes

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> Sequence[Sequence[RunningReplica]]:
        assert pending_request is not None
        metadata = pending_request.metadata
        assert metadata.is_http_request and metadata.call_method == "websocket"
        place = metadata.headers["x-place"]
        by_id = sorted(candidate_replicas, key=lambda one: one.replica_id.unique_id)
        return [[by_id[int(place)]]] if place != "none" else []

    def on_request_routed(self, pending_request: PendingRequest, replica_id: ReplicaID, result: ReplicaResult) -> None:
        self.notes.add.remote(replica_id.unique_id, pending_request.metadata.route)


def talks() -> Any:
    app = fastapi.FastAPI()

    @app.websocket("/talk")
    async def talk(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(serve.get_replica_context().replica_id)
        await websocket.close()

    return app


@serve.deployment(num_replicas=3)
@serve.ingress(talks)
class Talks: ...


def test_websockets_go_where_the_router_says(http: httpx.Client) -> None:
    notes = ray.remote(Notes).options(num_cpus=0).remote()
    serve.run(Talks.options(**routed(ByHeader, notes=notes)).bind(), route_prefix="/ws")
    address = f"ws://{http.base_url.host}:{http.base_url.port}/ws/talk"
    expected = []
    for _ in range(3):  # whichever replica has accepted the connection
        for place, replica in enumerate(ids()):
            with connect(address, additional_headers={"X-Place": str(place)}, open_timeout=60) as client:
                assert client.recv(60) == replica
            expected.append((replica, "/ws"))
    assert sorted(ray.get(notes.all.remote())) == sorted(expected)
    with pytest.raises(InvalidStatus) as info:
        connect(address, additional_headers={"X-Place": "none"}, open_timeout=60)
    assert info.value.response.status_code == 503
    # A router that fails costs no websocket.
    with connect(address, additional_headers={"X-Place": "nowhere"}, open_timeout=60) as client:
        assert client.recv(60) in ids()
    ray.kill(notes)
