"""What the REST API shows and changes: the controller, as JSON has it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from ray_async.serve.application import BuiltApplication
from ray_async.serve.config import HTTPOptions, gRPCOptions
from ray_async.serve.deploying.from_config import as_options
from ray_async.serve.names import CONTROLLER, NAMESPACE
from ray_async.serve.rest.building import BuiltConfig
from ray_async.serve.status_values import ApplicationStatusOverview, ServeStatus

__all__ = ("ControllerInstance",)


class Controlling(Protocol):
    """What is needed of the controller."""

    async def status(self) -> ServeStatus:
        """The status of all."""
        ...

    async def built(self) -> dict[str, BuiltApplication]:
        """What was asked for, by application."""
        ...

    async def start(self, http: HTTPOptions | None, must_match: bool) -> str:
        """Listen."""
        ...

    async def start_grpc(self, options: gRPCOptions) -> str:
        """Listen for gRPC."""
        ...

    async def deploy_all(self, applications: list[BuiltApplication]) -> None:
        """Want applications."""
        ...

    async def delete(self, name: str) -> None:
        """Delete an application."""
        ...


class ControllerInstance:
    """The controller, as the REST API needs it.

    Args:
        controller: The controller.
    """

    def __init__(self, controller: Controlling) -> None:
        self._controller = controller

    async def details(self) -> dict[str, Any]:
        """What runs."""
        status, built = await self._controller.status(), await self._controller.built()
        host, _, port = status.http_address.rpartition(":")
        return {
            "controller_info": {"actor_name": CONTROLLER, "namespace": NAMESPACE},
            "http_options": {"host": host, "port": int(port)} if port else None,
            "applications": {
                name: _application(name, overview, built.get(name)) for name, overview in status.applications.items()
            },
        }

    async def deploy_declared(self, built: BuiltConfig) -> None:
        """Want the applications of a config from now on, and nothing that an earlier one has named.

        Raises:
            RayServeException: A prefix that is taken, or HTTP is up at another address.
            OSError: The port is taken.
        """
        if built.http is not None:
            await self._controller.start(built.http, True)
        elif not (await self._controller.status()).http_address:
            await self._controller.start(built.default_http, False)
        if built.grpc is not None:
            await self._controller.start_grpc(built.grpc)
        if built.applications:
            await self._controller.deploy_all(list(built.applications))
        else:
            known = await self._controller.built()
            await self._delete({name: one for name, one in known.items() if one.declared})

    async def delete_all(self) -> None:
        """Delete all applications."""
        await self._delete(await self._controller.built())

    async def _delete(self, names: Mapping[str, Any]) -> None:
        await asyncio.gather(*(self._controller.delete(name) for name in names))


def _application(name: str, overview: ApplicationStatusOverview, built: BuiltApplication | None) -> dict[str, Any]:
    specs = {} if built is None else {spec.name: spec for spec in built.deployments}
    deployments = {
        key: asdict(deployment) | {"name": key, "deployment_config": as_options(specs[key].options, key)}
        for key, deployment in overview.deployments.items()
        if key in specs
    }
    source = "declarative" if built is not None and built.declared else "imperative"
    return asdict(overview) | {"name": name, "source": source, "deployments": deployments}
