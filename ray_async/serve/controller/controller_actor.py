"""The controller's actor, as others see it: what it can be asked. It knows nothing of what it takes to answer.

Drivers load this module alone; all else is loaded where the controller is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.serve.application import BuiltApplication, ConfigSettings
    from ray_async.serve.config import ControllerOptions, HTTPOptions, gRPCOptions
    from ray_async.serve.rest.options import RESTOptions
    from ray_async.serve.status_values import ServeStatus
    from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
    from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = ("ControllerActor",)


class ControllerActor:
    """The controller, which the actor's process makes.

    Args:
        folder: Serve's folder.
        options: How it was to run; None where nothing was said.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> ControllerActor:
        """A controller: with all that it needs, which is imported where it is made."""
        from ray_async.serve.controller.actor import Controller

        return object.__new__(Controller)

    def __init__(self, folder: str, options: ControllerOptions | None = None) -> None:
        raise NotImplementedError

    async def start(self, http: HTTPOptions | None, must_match: bool) -> str:
        """Begin to work; with HTTP options, listen. Gives a warning."""
        raise NotImplementedError

    async def start_by_default(self) -> str:
        """Listen for HTTP at the default address, unless Serve was started without HTTP. Gives a warning."""
        raise NotImplementedError

    async def differs(self, options: ControllerOptions) -> str:
        """A warning, where it was created with other options; else nothing."""
        raise NotImplementedError

    async def do_without_http(self) -> None:
        """Listen for HTTP only when an address is named."""
        raise NotImplementedError

    async def configure_telemetry(self, logging: ServeLoggingConfig | None, tracing: TracingConfig | None) -> str:
        """Say how replicas log and trace from now on. Gives a warning."""
        raise NotImplementedError

    async def start_rest(self, options: RESTOptions) -> None:
        """Serve the REST API, if it is not up yet."""
        raise NotImplementedError

    async def start_grpc(self, options: gRPCOptions) -> str:
        """Listen for gRPC. Gives a warning."""
        raise NotImplementedError

    async def deploy_all(self, applications: list[BuiltApplication], settings: ConfigSettings | None = None) -> None:
        """Want applications from now on."""
        raise NotImplementedError

    async def wait_running(self, name: str) -> str | None:
        """Wait until an application runs, or has failed; gives why."""
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        """Delete an application, once its requests are done."""
        raise NotImplementedError

    async def shutdown(self) -> None:
        """Delete all applications and stop listening."""
        raise NotImplementedError

    async def status(self) -> ServeStatus:
        """The status of all."""
        raise NotImplementedError

    async def declared(self) -> dict[str, BuiltApplication]:
        """The applications that a config has named."""
        raise NotImplementedError

    async def has(self, name: str) -> bool:
        """Whether there is an application of a name."""
        raise NotImplementedError

    async def ingress_of(self, name: str) -> str | None:
        """The name of the deployment that takes an application's requests; None where there is none."""
        raise NotImplementedError

    async def receive_body(self, number: int) -> dict[str, Any]:
        """The next part of a body that comes here, for the replica that runs its request."""
        raise NotImplementedError
