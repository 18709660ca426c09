"""The start of gRPC: options, and what keeps it from listening."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve.controller import grpc_starter
from ray_async.serve.exceptions import RayServeException

SERVICE = "tests.serve.grpc_services.add_TextsServicer_to_server"


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="port must be from 0"):
        serve.gRPCOptions(port=-1)
    with pytest.raises(ValueError, match="request_timeout_s must be positive"):
        serve.gRPCOptions(request_timeout_s=0)
    with pytest.raises(TypeError, match="a list of import paths"):
        serve.gRPCOptions(grpc_servicer_functions=SERVICE)  # type: ignore[arg-type]


def test_without_grpcio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_starter, "find_spec", lambda name: None)
    with pytest.raises(RayServeException, match=r"pip install 'ray_async\[grpc\]'"):
        asyncio.run(grpc_starter.GrpcStarter().start(serve.gRPCOptions(grpc_servicer_functions=(SERVICE,))))


@pytest.fixture
def session() -> Iterator[None]:
    ray.init(num_cpus=1, log_to_driver=False)
    yield
    serve.shutdown()
    ray.shutdown()


def start(**options: Any) -> None:
    serve.start(serve.HTTPOptions(port=0), grpc_options=options)


def test_a_server_that_cannot_start(session: None, caplog: pytest.LogCaptureFixture) -> None:
    start(port=0)
    assert serve.status().grpc_address == ""
    with pytest.raises(RayServeException, match="there is no module 'nowhere'"):
        start(port=0, grpc_servicer_functions=["nowhere.add"])
    with pytest.raises(RayServeException, match="there is no 'add_None' in tests"):
        start(port=0, grpc_servicer_functions=["tests.serve.grpc_services.add_None"])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Serve cannot listen for gRPC on 127.0.0.1:{port}"):
            start(port=port, grpc_servicer_functions=[SERVICE])
    start(port=port, grpc_servicer_functions=[SERVICE])
    assert serve.status().grpc_address == f"127.0.0.1:{port}"
    start(port=port, grpc_servicer_functions=[SERVICE])
    assert "gRPC is up already" not in caplog.text
    start(port=0, grpc_servicer_functions=[SERVICE])
    assert "gRPC is up already" in caplog.text
