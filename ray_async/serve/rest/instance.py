"""The controller as the REST API shows and changes it, in JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from ray_async.serve.application import BuiltApplication, ConfigSettings
from ray_async.serve.config import ControllerOptions, HTTPOptions, gRPCOptions
from ray_async.serve.deploying.from_config import as_options
from ray_async.serve.names import CONTROLLER, NAMESPACE
from ray_async.serve.rest.building import BuiltConfig
from ray_async.serve.status_values import ApplicationStatusOverview, ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = ("ControllerInstance",)

logger = logging.getLogger("ray_async.serve")


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

    async def deploy_all(self, applications: list[BuiltApplication], settings: ConfigSettings | None = None) -> None:
        """Want applications."""
        ...

    async def do_without_http(self) -> None:
        """Listen for HTTP only when an address is named."""
        ...

    async def configure_telemetry(self, logging: ServeLoggingConfig | None, tracing: TracingConfig | None) -> str:
        """Say how replicas log and trace from now on."""
        ...

    async def differs(self, options: ControllerOptions) -> str:
        """Say whether it was created with other options."""
        ...

    async def scale(self, app: str, deployment: str, number: int) -> None:
        """Want a number of replicas."""
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
            "target_capacity": status.target_capacity,
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
        if built.settings.tracing is not None:
            await self._controller.configure_telemetry(None, built.settings.tracing)
        if built.settings.controller is not None:
            warning = await self._controller.differs(built.settings.controller)
            if warning:
                logger.warning(warning)
        if built.settings.without_http:
            await self._controller.do_without_http()
        elif built.http is not None:
            await self._controller.start(built.http, True)
        elif not (await self._controller.status()).http_address:
            await self._controller.start(built.default_http, False)
        if built.grpc is not None:
            await self._controller.start_grpc(built.grpc)
        await self._controller.deploy_all(list(built.applications), built.settings)
        if not built.applications:
            known = await self._controller.built()
            await self._delete({name: one for name, one in known.items() if one.declared})

    async def scale(self, app: str, deployment: str, number: int) -> None:
        """Want a number of replicas of a deployment.

        Raises:
            DeploymentUnavailableError: There is no such deployment.
            ExternalScalerDisabledError: Its application is not scaled from outside.
        """
        await self._controller.scale(app, deployment, number)

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
    scaling = {"external_scaler_enabled": built is not None and built.external_scaler}
    return asdict(overview) | scaling | {"name": name, "source": source, "deployments": deployments}
