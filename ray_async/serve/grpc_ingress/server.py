"""The gRPC server: an actor that listens, and hands all calls to replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ray_async.serve.config import gRPCOptions
from ray_async.serve.handle.client import get_client
from ray_async.serve.names import folder

if TYPE_CHECKING:
    from ray_async.serve.grpc_ingress.calls import GrpcCalls

__all__ = ("GrpcServer",)

_GRACE = 5.0  # seconds that calls have to end when the server does
_OWN = "ray.serve.RayServeAPIService"


class GrpcServer:
    """Listens for calls of all applications; one for each session. A server that has died listens again.

    Args:
        options: Where, and with which services.
    """

    def __init__(self, options: gRPCOptions) -> None:
        self._options = options
        self._calls: GrpcCalls
        self._server: Any = None
        self._address = asyncio.get_running_loop().create_task(self._start())

    async def address(self) -> str:
        """The address, once the server listens there, as ``host:port``.

        Raises:
            OSError: The port is taken.
            RayServeException: A service is not there.
        """
        return await asyncio.shield(self._address)

    async def _start(self) -> str:
        import grpc.aio

        from ray_async.serve.grpc_ingress.calls import GrpcCalls
        from ray_async.serve.grpc_ingress.services import Services, servicer_functions

        options = self._options
        services = Services(servicer_functions(options.grpc_servicer_functions))
        self._calls = GrpcCalls(services, get_client(), options.request_timeout_s)
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers((self._calls,))
        await _add_standard_services(server, [*services.names, _OWN], options.enable_reflection)
        kept = folder() / "grpc-port"  # of the server before this one, which had died
        wanted = int(kept.read_text()) if kept.exists() else options.port
        try:
            port = server.add_insecure_port(f"{options.host}:{wanted}")
        except RuntimeError as error:
            raise OSError(f"Serve cannot listen for gRPC on {options.host}:{wanted}: {error}") from None
        await server.start()
        kept.write_text(str(port))
        self._server = server
        return f"{options.host}:{port}"

    async def receive_message(self, number: int) -> tuple[Any, ...]:
        """The next message of a client's stream, for the replica that runs its call."""
        return await self._calls.receive(number)

    async def stop(self) -> None:
        """Take no more calls, and let those that run end."""
        if self._server is not None:
            (folder() / "grpc-port").unlink(missing_ok=True)
            await self._server.stop(_GRACE)


async def _add_standard_services(server: Any, names: Iterable[str], reflection: bool) -> None:
    """Add gRPC's own services for health and reflection, as far as their packages are installed."""
    listed = list(names)
    if find_spec("grpc_health") is not None:
        health = import_module("grpc_health.v1.health")
        messages = import_module("grpc_health.v1.health_pb2")
        servicer = health.aio.HealthServicer()
        import_module("grpc_health.v1.health_pb2_grpc").add_HealthServicer_to_server(servicer, server)
        for name in ("", *listed):
            await servicer.set(name, messages.HealthCheckResponse.SERVING)
        listed.append(health.SERVICE_NAME)
    if reflection and find_spec("grpc_reflection") is not None:
        module = import_module("grpc_reflection.v1alpha.reflection")
        module.enable_server_reflection((*listed, module.SERVICE_NAME), server)
