"""Calls by gRPC: every kind of method, statuses, deadlines, clients that leave, and gRPC's own services."""

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import RequestRouterConfig
from ray_async.serve.grpc_util import RayServegRPCContext, gRPCInputStream
from ray_async.serve.names import GRPC_SERVER, NAMESPACE
from ray_async.serve.request_router import PendingRequest, RequestRouter, RunningReplica
from tests.serve.grpc_services import NAME, Stub
from tests.serve.log_lines import log_lines
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import wait_until

SERVICE = "tests.serve.grpc_services.add_TextsServicer_to_server"


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0), grpc_options=serve.gRPCOptions(port=0, grpc_servicer_functions=(SERVICE,)))
    yield
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def channel(session: None) -> Iterator[Any]:
    """A channel to Serve; the applications that a test has deployed are deleted after it."""
    with grpc.insecure_channel(serve.status().grpc_address) as channel:
        yield channel
    for name in serve.status().applications:
        serve.delete(name)


@pytest.fixture
def stub(channel: Any) -> Stub:
    return Stub(channel)


class Words:
    def upper(self, text: str) -> str:
        return text.upper()


@serve.deployment
class Texts:
    def __init__(self, words: Any, gate: Any = None) -> None:
        self.words = words
        self.gate = gate

    async def Upper(self, request: StringValue, grpc_context: RayServegRPCContext) -> StringValue:
        given = dict(grpc_context.invocation_metadata())
        if request.value == "wait":
            await self.gate.wait.remote()
        if request.value == "fail":
            raise ValueError("no such text")
        if request.value == "refuse":
            grpc_context.set_code(grpc.StatusCode.INVALID_ARGUMENT)
            grpc_context.set_details("refused")
            raise ValueError("an error behind it")
        if request.value == "model":
            return StringValue(value=serve.get_multiplexed_model_id())
        grpc_context.set_trailing_metadata([("seen", str(given.get("mark", "")))])
        return StringValue(value=await self.words.upper.remote(request.value))

    def Letters(self, request: StringValue) -> Iterator[StringValue]:
        for letter in request.value:
            yield StringValue(value=letter)
        if request.value == "fail":
            raise ValueError("after the last")

    async def Length(self, request: gRPCInputStream) -> Int64Value:
        return Int64Value(value=sum([len(message.value) async for message in request]))

    async def Echo(self, request: gRPCInputStream) -> AsyncIterator[StringValue]:
        async for message in request:
            yield message


def deploy(name: str = "default", route: str | None = "/", gate: Any = None, **options: Any) -> None:
    words = serve.deployment(Words).bind()
    serve.run(Texts.options(**options).bind(words, gate), name=name, route_prefix=route)


def text(value: str) -> StringValue:
    return StringValue(value=value)


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as failure:
        call()
    error: Any = failure.value
    return error.code().name, error.details()


def test_every_kind_of_method(stub: Stub) -> None:
    deploy()
    assert stub.Upper(text("abc")).value == "ABC"
    assert [letter.value for letter in stub.Letters(text("abc"))] == ["a", "b", "c"]
    assert stub.Length(iter([text("abc"), text("de")])).value == 5
    assert stub.Length(iter(())).value == 0
    assert [message.value for message in stub.Echo(text(str(n)) for n in range(50))] == [str(n) for n in range(50)]


def test_messages_are_answered_while_others_come(stub: Stub) -> None:
    deploy()
    answers: list[str] = []

    def is_answered(number: int) -> bool:
        return len(answers) > number

    def messages() -> Iterator[StringValue]:
        for number in range(3):
            yield text(str(number))
            wait_until(partial(is_answered, number))  # the next is sent once this one is answered

    for message in stub.Echo(messages()):
        answers.append(message.value)
    assert answers == ["0", "1", "2"]


def test_metadata(stub: Stub) -> None:
    deploy()
    metadata = (("mark", "m"), ("request_id", "mine"), ("multiplexed_model_id", "small"))
    answer, call = stub.Upper.with_call(text("a"), metadata=metadata)
    assert answer.value == "A"
    assert {("seen", "m"), ("request_id", "mine")} <= set(call.trailing_metadata())
    assert stub.Upper(text("model"), metadata=metadata).value == "small"


def test_statuses(stub: Stub) -> None:
    assert refused(lambda: stub.Upper(text("a"))) == (
        "NOT_FOUND",
        "the metadata `application` must say for which one; there are: none.",
    )
    deploy()
    assert refused(lambda: stub.Upper(text("fail"))) == ("INTERNAL", "ValueError: no such text")
    assert refused(lambda: stub.Upper(text("refuse"))) == ("INVALID_ARGUMENT", "refused")
    assert refused(lambda: stub.Missing(text("a"))) == ("UNIMPLEMENTED", "the deployment has no method 'Missing'")
    seen = []

    def letters() -> None:
        for letter in stub.Letters(text("fail")):
            seen.append(letter.value)

    assert refused(letters) == ("INTERNAL", "ValueError: after the last")
    assert seen == ["f", "a", "i", "l"]
    assert stub.Upper(text("b")).value == "B"


def test_applications(stub: Stub) -> None:
    deploy("one", "/one")
    deploy("two", None)  # without HTTP
    code, details = refused(lambda: stub.Upper(text("a")))
    assert (code, details) == ("NOT_FOUND", "the metadata `application` must say for which one; there are: one, two.")
    for name in ("one", "two"):
        assert stub.Upper(text("a"), metadata=(("application", name),)).value == "A"
    code, details = refused(lambda: stub.Upper(text("a"), metadata=(("application", "three"),)))
    assert (code, details) == ("NOT_FOUND", "there is no application 'three'; there are: one, two.")


def test_deadlines_clients_that_leave_and_full_queues(stub: Stub, gate: Any) -> None:
    deploy(gate=gate, max_ongoing_requests=1, max_queued_requests=0)

    def counts() -> tuple[int, int]:
        found: tuple[int, int] = ray.get(gate.counts.remote())
        return found

    def is_free() -> bool:
        """Whether a call is taken: a slot is free a moment after the handler of a call that was left has ended."""
        call = stub.Upper.future(text("a"), wait_for_ready=True)
        assert call.code().name in ("OK", "RESOURCE_EXHAUSTED")
        return bool(call.code().name == "OK")

    assert refused(lambda: stub.Upper(text("wait"), timeout=0.5))[0] == "DEADLINE_EXCEEDED"
    wait_until(lambda: counts() == (1, 1))
    wait_until(is_free)
    call = stub.Upper.future(text("wait"))
    wait_until(lambda: counts() == (2, 1))
    code, details = refused(lambda: stub.Upper(text("a")))
    assert code == "RESOURCE_EXHAUSTED"
    assert "max_queued_requests=0" in details
    call.cancel()
    wait_until(lambda: counts() == (2, 2))
    wait_until(is_free)


def test_services_of_grpc_itself(channel: Any) -> None:
    deploy()
    health = health_pb2_grpc.HealthStub(channel)
    for name in ("", NAME):
        assert health.Check(health_pb2.HealthCheckRequest(service=name)).status == 1
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = reflection.ServerReflectionInfo(iter([ask]))
    assert NAME in {service.name for service in answer.list_services_response.service}
    own = "/ray.serve.RayServeAPIService/"
    assert channel.unary_unary(f"{own}Healthz")(b"") == b"\x0a\x07success"
    assert channel.unary_unary(f"{own}ListApplications")(b"") == b"\x0a\x07default"


def test_a_killed_server_comes_back_at_its_port(stub: Stub) -> None:
    deploy()
    address = serve.status().grpc_address
    (row,) = [row for row in ray.util.state.list_actors(filters=[("name", "=", GRPC_SERVER)]) if row.pid]
    os.kill(row.pid, signal.SIGKILL)
    assert stub.Upper(text("a"), wait_for_ready=True, timeout=60).value == "A"
    assert serve.status().grpc_address == address
    assert ray.get_actor(GRPC_SERVER, namespace=NAMESPACE) is not None


def test_calls_have_access_lines_with_their_status(stub: Stub) -> None:
    deploy()
    assert stub.Upper(text("abc")).value == "ABC"
    for value in ("fail", "refuse"):
        refused(lambda value=value: stub.Upper(text(value)))  # type: ignore[misc]
    for status in ("OK", "INTERNAL", "INVALID_ARGUMENT"):
        wait_until(lambda status=status: log_lines(f"-- CALL Upper {status} "))  # type: ignore[misc]


class LastForUpper(RequestRouter):
    """Sends calls of one method to the replica whose id is the last of the alphabet, others to the first."""

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        assert pending_request is not None
        by_id = sorted(candidate_replicas, key=lambda replica: replica.replica_id.unique_id)
        return [[by_id[-1 if pending_request.metadata.call_method == "Upper" else 0]]]


@serve.deployment(num_replicas=3, request_router_config=RequestRouterConfig(LastForUpper))
class Who:
    async def Upper(self, request: StringValue) -> StringValue:
        return StringValue(value=serve.get_replica_context().replica_id)

    async def Letters(self, request: StringValue) -> AsyncIterator[StringValue]:
        yield await self.Upper(request)


def test_calls_go_where_a_router_of_ones_own_says(stub: Stub) -> None:
    serve.run(Who.bind())
    last = {stub.Upper(StringValue(value="a")).value for _ in range(10)}
    first = {reply.value for _ in range(10) for reply in stub.Letters(StringValue(value="a"))}
    assert (len(first), len(last)) == (1, 1)
    assert min(first) < min(last)
