"""The controller's side of the gRPC server."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import ray_async as ray
from ray_async import cloudpickle
from ray_async.exceptions import RayTaskError
from ray_async.serve.config import gRPCOptions
from ray_async.serve.deaths import DEATHS
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.grpc_ingress.server import GrpcServer
from ray_async.serve.names import GRPC_SERVER, NAMESPACE

__all__ = ("GrpcStarter",)


class GrpcStarter:
    """Starts the gRPC server, and knows where it listens."""

    def __init__(self) -> None:
        self.address = ""
        self.packed: bytes | None = None  # the options of the server that there is
        self._options: gRPCOptions | None = None
        self._actor: Any = None

    async def recover(self, packed: bytes) -> None:
        """Know the server again that an earlier controller has started."""
        self._options = cloudpickle.loads(packed)
        self._actor = ray.get_actor(GRPC_SERVER, namespace=NAMESPACE)
        self.address = await self._actor.address.remote()

    async def start(self, options: gRPCOptions) -> str:
        """Start the server, where there is none.

        Returns:
            A warning: that there is one with other options already.

        Raises:
            OSError: The port is taken.
            RayServeException: A service is not there, or grpcio is not installed.
        """
        if self._options is not None:
            return "" if options == self._options else "gRPC is up already: its new options are ignored."
        if find_spec("grpc") is None:
            raise RayServeException("gRPC needs grpcio, which is not installed: pip install 'ray_async[grpc]'")
        actor = ray.remote(GrpcServer).options(
            name=GRPC_SERVER,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,  # an earlier controller may have died before it could say so
            max_restarts=-1,
            max_task_retries=-1,
            num_cpus=0,
            max_concurrency=100_000,
        )
        self._actor = actor.remote(options)
        try:
            self.address = await self._actor.address.remote()
        except RayTaskError as error:
            ray.kill(self._actor)
            raise error.cause from None
        # A server that dies comes back where it was.
        self._options = replace(options)
        self.packed = cloudpickle.dumps(options)
        return ""

    async def stop(self) -> None:
        """End the server, if there is one, once its calls are done."""
        if self._options is None:
            return
        with contextlib.suppress(*DEATHS):
            await self._actor.stop.remote()
        ray.kill(self._actor)
        self._options, self.packed, self.address = None, None, ""
