"""The functions of Serve: what a driver calls."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import ray_async as ray
from ray_async.exceptions import NodeDiedError, RayActorError, RayTaskError
from ray_async.serve.application import (
    Application,
    BuiltApplication,
    ConfigSettings,
    build,
    scaled_from_outside,
    with_logging,
)
from ray_async.serve.config import ControllerOptions, HTTPOptions, ProxyLocation, gRPCOptions
from ray_async.serve.context import current_replica, local_context
from ray_async.serve.controller.controller_actor import ControllerActor
from ray_async.serve.controller.remains import clear, end_actors
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.local_testing.local_application import delete_local, get_local, run_local, shutdown_local
from ray_async.serve.names import (
    CONTROLLER,
    DEFAULT_APP,
    DEPLOYMENT_ACTOR_PREFIX,
    FRONT,
    GRPC_SERVER,
    NAMESPACE,
    REPLICA_PREFIX,
    folder,
)
from ray_async.serve.rest.options import RESTOptions
from ray_async.serve.script_end import ScriptEnd, serve_until_interrupt
from ray_async.serve.status_values import ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = (
    "declared",
    "delete",
    "deploy",
    "get_app_handle",
    "get_deployment_handle",
    "run",
    "shutdown",
    "start",
    "status",
)

_LOCAL = "RAY_SERVE_FORCE_LOCAL_TESTING_MODE"  # an environment variable


def run(
    target: Application,
    blocking: bool | None = None,
    name: str = DEFAULT_APP,
    route_prefix: str | None = "/",
    logging_config: ServeLoggingConfig | dict[str, Any] | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    wait_for_resources: bool = False,
    external_scaler_enabled: bool = False,
    controller_options: ControllerOptions | dict[str, Any] | None = None,
    _local_testing_mode: bool = False,
) -> DeploymentHandle:
    """Deploy an application, and wait until it runs.

    An application of the same name is replaced, without a gap; what is deployed and has not changed goes on.

    Args:
        target: What ``bind`` gives.
        blocking: Whether to go on until Ctrl-C. None: not now, but where a script gives `host` or `port` on a node that
            it has started itself, its end waits for Ctrl-C.
        name: The application's name.
        route_prefix: The path below which it takes HTTP requests; None: it takes none.
        logging_config: How its replicas log, where their deployment says nothing itself.
        host: The address to listen on; 127.0.0.1 where HTTP is not up yet.
        port: The port to listen on; 8000 where HTTP is not up yet.
        wait_for_resources: Whether to wait where the node lacks what a replica asks for, instead of failing; what is
            lacking is logged.
        external_scaler_enabled: Whether the REST API says how many replicas there shall be; deployments that scale by
            themselves are refused then.
        controller_options: How the controller runs; ignored with a warning where it runs already in another way.
        _local_testing_mode: Whether to construct it in this process, for a test: without a session, HTTP or limits.

    Returns:
        The handle of the deployment that takes the application's requests.

    Raises:
        TypeError: Not an application.
        ValueError: A prefix that is none, or `external_scaler_enabled` with a deployment that scales by itself.
        OSError: The port is taken.
        RayServeException: The prefix belongs to another application, or HTTP is up at another address.
        RuntimeError: The deployment failed; the message has the traceback. An older version goes on serving.

    Example:
        >>> handle = serve.run(Model.bind("small"), port=8000)
    """
    if not isinstance(target, Application):
        raise TypeError(
            f"serve.run() expects an Application, as `.bind()` of a deployment gives it, but got {type(target)}"
        )
    _check_prefix(route_prefix)
    controller = None if controller_options is None else ControllerOptions.of(controller_options)
    if _local_testing_mode or os.environ.get(_LOCAL) == "1":
        ServeLoggingConfig.of(logging_config)
        return run_local(target, name)
    built = with_logging(build(target, name, route_prefix), ServeLoggingConfig.of(logging_config))
    built = replace(built, wait_for_resources=wait_for_resources)
    if external_scaler_enabled:
        built = scaled_from_outside(built)
    http = None
    if host is not None or port is not None:
        default = HTTPOptions()
        http = HTTPOptions(default.host if host is None else host, default.port if port is None else port)
    deploy([built], http, wait=True, controller_options=controller)
    if blocking:
        serve_until_interrupt(f"Serving {_address() or name} until Ctrl-C.", threading.Event().wait, shutdown)
    elif blocking is None and (host is not None or port is not None) and _is_own_script(sys._getframe(1)):
        _script_end.wait_for(ray.get_runtime_context().get_session_name())
    elif blocking is False:
        _script_end.cancel()
    return DeploymentHandle(built.ingress, name)


def deploy(
    applications: Sequence[BuiltApplication],
    http: HTTPOptions | None,
    wait: bool,
    grpc: gRPCOptions | None = None,
    settings: ConfigSettings | None = None,
    controller_options: ControllerOptions | None = None,
) -> None:
    """Deploy applications that are built. Where they are declared by a config, others that were so go.

    Args:
        applications: What to deploy.
        http: Where to listen; None: where HTTP is up already, else the default.
        wait: Whether to wait until all run.
        grpc: Where to listen for gRPC; None: where that is up already, if it is.
        settings: What a config says beside; None: nothing.
        controller_options: How the controller runs; None: as the settings say, if they do.

    Raises:
        RayServeException: A prefix belongs to another application, or HTTP is up at another address.
        RuntimeError: A deploy failed.
    """
    controller = _controller_or_new(controller_options or (None if settings is None else settings.controller))
    if settings is not None and settings.without_http:
        _ask(controller.do_without_http.remote())
    if settings is not None and settings.tracing is not None:
        warning = _ask(controller.configure_telemetry.remote(None, settings.tracing))
        if warning:
            ray.logger.warning(warning)
    if http is not None or any(built.route_prefix is not None for built in applications):
        _listen(controller, http, must_match=True)
    if grpc is not None:
        _start_grpc(controller, grpc)
    _ask(controller.deploy_all.remote(list(applications), settings))
    for built in applications if wait else ():
        failure = _ask(controller.wait_running.remote(built.name))
        if failure is not None:
            raise RuntimeError(f"Deploying application {built.name} failed: {failure}")


def declared() -> dict[str, BuiltApplication]:
    """The applications that were deployed from a config."""
    controller = _controller()
    found: dict[str, BuiltApplication] = {} if controller is None else _ask(controller.declared.remote())
    return found


def start(
    http_options: HTTPOptions | dict[str, Any] | None = None,
    *,
    proxy_location: ProxyLocation | str | None = None,
    grpc_options: gRPCOptions | dict[str, Any] | None = None,
    logging_config: ServeLoggingConfig | dict[str, Any] | None = None,
    tracing_config: TracingConfig | dict[str, Any] | None = None,
    rest_options: RESTOptions | dict[str, Any] | None = None,
    controller_options: ControllerOptions | dict[str, Any] | None = None,
) -> None:
    """Start Serve, and listen for HTTP; `run` does that too.

    Args:
        http_options: Where, and how; ignored with a warning where HTTP is up already.
        proxy_location: "Disabled": HTTP is not served, unless another `start` asks for it before anything is deployed.
            The others mean the same on one machine.
        grpc_options: Where, and for which services, to listen for gRPC; None: nowhere.
        logging_config: How replicas log that start from now on, where their deployment and application say nothing.
        tracing_config: Where replicas that start from now on send OpenTelemetry's spans.
        rest_options: Where the REST API is served; None: nowhere. Ignored where it is up already.
        controller_options: How the controller runs; ignored with a warning where it runs already in another way.

    Raises:
        OSError: The port is taken.
        TypeError: An unknown option.
        ValueError: A value out of range.
        RayServeException: A service of `grpc_options` is not there, or what an option needs is not installed.
    """
    options = HTTPOptions(**http_options) if isinstance(http_options, dict) else http_options or HTTPOptions()
    logging = ServeLoggingConfig.of(logging_config)
    tracing = TracingConfig(**tracing_config) if isinstance(tracing_config, dict) else tracing_config
    controller_how = None if controller_options is None else ControllerOptions.of(controller_options)
    controller, warnings = _controller_or_new(controller_how), []
    if logging is not None or tracing is not None:
        warnings.append(_ask(controller.configure_telemetry.remote(logging, tracing)))
    if proxy_location is not None and ProxyLocation(proxy_location) is ProxyLocation.Disabled:
        _ask(controller.do_without_http.remote())
    else:
        warnings.append(_listen(controller, options, must_match=False))
    if rest_options is not None:
        rest = RESTOptions(**rest_options) if isinstance(rest_options, dict) else rest_options
        _ask(controller.start_rest.remote(rest))
    if grpc_options is not None:
        _start_grpc(controller, gRPCOptions(**grpc_options) if isinstance(grpc_options, dict) else grpc_options)
    for warning in filter(None, warnings):
        ray.logger.warning(warning)


def _start_grpc(controller: Any, options: gRPCOptions) -> None:
    warning = _ask(controller.start_grpc.remote(options)) if options.grpc_servicer_functions else ""
    if warning:
        ray.logger.warning(warning)


def status() -> ServeStatus:
    """Give the status of all applications; an empty one where Serve does not run."""
    controller = _controller()
    if controller is None:
        return ServeStatus()
    result: ServeStatus = _ask(controller.status.remote())
    return result


def delete(name: str) -> None:
    """Delete an application, and wait until the requests that it has are done; does nothing where there is none."""
    if delete_local(name):
        return
    controller = _controller()
    if controller is not None and _ask(controller.has.remote(name)):
        _ask(controller.delete.remote(name))


def shutdown() -> None:
    """Delete all applications and end Serve; does nothing where it does not run."""
    shutdown_local()
    if not ray.is_initialized():
        return
    with contextlib.suppress(NodeDiedError):  # all of Serve has died with its node
        controller = _controller()
        if controller is not None:
            with contextlib.suppress(RayActorError):
                _ask(controller.shutdown.remote())
            ray.kill(controller)
        _end_replicas()
    clear(folder())


def get_app_handle(name: str) -> DeploymentHandle:
    """Give the handle of the deployment that takes an application's requests.

    Raises:
        RayServeException: There is no such application.
    """
    local = get_local(name)
    if local is not None:
        return local
    controller = _controller()
    ingress = None if controller is None else _ask(controller.ingress_of.remote(name))
    if ingress is None:
        raise RayServeException(f"Application {name!r} does not exist.")
    return DeploymentHandle(ingress, name)


def get_deployment_handle(deployment_name: str, app_name: str | None = None) -> DeploymentHandle:
    """Give a deployment's handle.

    Args:
        deployment_name: The deployment.
        app_name: Its application; within a replica, that of the replica by default.

    Raises:
        RayServeException: No application is named, outside of replicas.
    """
    if app_name is None:
        context = local_context.get() or current_replica.context
        if context is None:
            raise RayServeException("Please specify an application name: this is not called within a replica.")
        app_name = context.app_name
    local = get_local(app_name, deployment_name)
    if local is not None:
        return local
    return DeploymentHandle(deployment_name, app_name)


def _check_prefix(prefix: str | None) -> None:
    if prefix is None:
        return
    if not prefix.startswith("/"):
        raise ValueError(f"Invalid route_prefix {prefix!r}, must start with a forward slash ('/')")
    if prefix != "/" and prefix.endswith("/"):
        raise ValueError(f"the route_prefix must not end with '/', but is {prefix!r}")
    if "{" in prefix or "}" in prefix:
        raise ValueError(f"the route_prefix is no template and must not have braces, but is {prefix!r}")


def _controller() -> Any:
    try:
        return ray.get_actor(CONTROLLER, namespace=NAMESPACE)
    except ValueError:
        return None


def _end_replicas() -> None:
    """End what a controller that was killed for good has left: replicas, what they share, the front, gRPC's server."""
    from ray_async.serve.controller.reservation import remove_rooms  # with much that drivers do not need

    end_actors(lambda name: name.startswith((REPLICA_PREFIX, DEPLOYMENT_ACTOR_PREFIX, FRONT, GRPC_SERVER)))
    remove_rooms(lambda _: True)


def _controller_or_new(how: ControllerOptions | None = None) -> Any:
    if not ray.is_initialized():
        ray.init(preload=["ray_async.serve"])  # replicas start in less time where its imports are inherited
    place = folder()
    place.mkdir(exist_ok=True)
    options = ray.remote(ControllerActor).options(
        name=CONTROLLER,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_concurrency=100_000,
        max_restarts=-1,
        max_task_retries=-1,  # who asks it waits through a restart: it may be asked for everything twice
        **(how or ControllerOptions()).of_actor(),
    )
    controller = options.remote(str(place), how)
    _ask(controller.start.remote(None, False))
    if how is not None and (warning := _ask(controller.differs.remote(how))):
        ray.logger.warning(warning)
    return controller


def _listen(controller: Any, http: HTTPOptions | None, must_match: bool) -> str:
    """Let the controller listen; None: as it is set. Where that fails, and Serve has nothing else to do, it ends."""
    try:
        call = controller.start_by_default.remote() if http is None else controller.start.remote(http, must_match)
        warning: str = _ask(call)
    except (OSError, RayServeException):
        found = status()
        if not found.applications and not found.http_address:
            shutdown()
        raise
    return warning


def _ask(ref: Any) -> Any:
    """The controller's answer; what it raised, without the remote traceback."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, RayServeException | OSError):
            raise cause from None
        raise


def _address() -> str:
    return status().url


def _is_own_script(frame: FrameType) -> bool:
    """Whether a frame is of a script, not of an interactive session, whose driver has started the node."""
    interactive = hasattr(sys, "ps1") or sys.flags.interactive
    return frame.f_globals.get("__name__") == "__main__" and not interactive and ray.get_runtime_context().owns_node


_script_end = ScriptEnd(_address, shutdown)
