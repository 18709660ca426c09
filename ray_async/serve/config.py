"""Configuration values: of autoscaling, request routers, gangs, deployment actors, HTTP and gRPC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from enum import StrEnum
from typing import Any

from ray_async.serve.autoscaling_config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy
from ray_async.serve.backpressure_config import BackpressureConfig
from ray_async.serve.controller_options import ControllerOptions
from ray_async.serve.deployment_actors import DeploymentActorConfig
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.gang import GangPlacementStrategy, GangRuntimeFailurePolicy, GangSchedulingConfig
from ray_async.serve.request_router.config import RequestRouterConfig

__all__ = (
    "AutoscalingConfig",
    "AutoscalingContext",
    "AutoscalingPolicy",
    "BackpressureConfig",
    "ControllerOptions",
    "DeploymentActorConfig",
    "GangPlacementStrategy",
    "GangRuntimeFailurePolicy",
    "GangSchedulingConfig",
    "HTTPOptions",
    "ProxyLocation",
    "RequestRouterConfig",
    "gRPCOptions",
)


class ProxyLocation(StrEnum):
    """Where Serve takes HTTP requests. Replicas take them themselves, so on one machine this is whether it does."""

    Disabled = "Disabled"
    HeadOnly = "HeadOnly"
    EveryNode = "EveryNode"


@dataclass(frozen=True)
class HTTPOptions:
    """Where HTTP is served, and how.

    Args:
        host: The address to listen on.
        port: The port; 0: any free one, which `serve.status` shows.
        keep_alive_timeout_s: Seconds after which an idle connection is closed.
        request_timeout_s: Seconds that a request may take before it is answered by 408; None: any time. A request's own
            header ``x-request-timeout-seconds`` goes before it.
        root_path: The path below which all applications are, with and without a proxy that cuts it off.
        head_timeout_s: Seconds in which a request's whole head must have come, and before it the handshake of TLS; a
            head that takes longer is answered by 408. None: any time.
        stall_timeout_s: Seconds in each of which a client must have sent another part (1 KiB) of a body before its
            answer begins, else it gets 408, and taken another part of its answer, else the connection ends; and in
            which some byte must go either way while a handler, whose answer has begun, waits for more of the body. A
            body that nobody needs any more must have come whole within that time. None: any time.
        websocket_ping_interval_s: Seconds between two pings by which a websocket's peer is asked whether it is there.
        websocket_ping_timeout_s: Seconds in which it must have answered; the websocket is closed by 1011 then.
        max_body_bytes: The most bytes of a request's body; larger ones are answered by 413. None: any number.
        metrics: Whether to count, and to show the counts to Prometheus at ``/-/metrics``.
        ssl_keyfile: The file of the key for TLS; with `ssl_certfile`.
        ssl_certfile: The file of the certificate, and of those that lead to a known one.
        ssl_keyfile_password: The key's password.
        ssl_ca_certs: The file of certificates of which one must have signed a client's own; None: clients need none.

    Raises:
        ValueError: A value out of range.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keep_alive_timeout_s: int = 90
    request_timeout_s: float | None = None
    root_path: str = ""
    head_timeout_s: float | None = 20.0
    stall_timeout_s: float | None = 60.0
    websocket_ping_interval_s: float = 20.0
    websocket_ping_timeout_s: float = 20.0
    max_body_bytes: int | None = 100 * 2**20
    metrics: bool = False
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = field(default=None, repr=False)
    ssl_ca_certs: str | None = None

    def __post_init__(self) -> None:
        if self.root_path and (not self.root_path.startswith("/") or self.root_path.endswith("/")):
            raise ValueError(f"root_path must start with '/' and not end with '/', but is {self.root_path!r}")
        limits = [name for name in vars(self) if name.endswith("_s") or name == "max_body_bytes"]
        for name in limits:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, but is {value!r}")
        if (self.ssl_keyfile is None) != (self.ssl_certfile is None):
            raise ValueError("ssl_keyfile and ssl_certfile must be given together")
        if self.ssl_certfile is None and (self.ssl_keyfile_password or self.ssl_ca_certs):
            raise ValueError("ssl_keyfile_password and ssl_ca_certs need ssl_keyfile and ssl_certfile")
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be from 0 to 65535, but is {self.port!r}")


@dataclass(frozen=True)
class gRPCOptions:  # Ray's name
    """Where calls by gRPC are served, and of which services.

    Args:
        port: The port; 0: any free one, which `serve.status` shows.
        grpc_servicer_functions: The functions ``add_...Servicer_to_server`` of generated code, or their import paths;
            with none, nothing listens.
        request_timeout_s: Seconds that a call may take, if its own deadline is not sooner; None: any time.
        enable_reflection: Whether clients may ask which services there are (needs grpcio-reflection).
        host: The address to listen on.

    Raises:
        TypeError: No list of import paths.
        ValueError: A value out of range.
    """

    port: int = 9000
    grpc_servicer_functions: tuple[str | Callable[..., Any], ...] = ()
    request_timeout_s: float | None = None
    enable_reflection: bool = True
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        named: Any = self.grpc_servicer_functions
        if isinstance(named, str):
            raise TypeError(f"grpc_servicer_functions must be a list of import paths, not {named!r}")
        object.__setattr__(self, "grpc_servicer_functions", tuple(named))
        if self.request_timeout_s is not None and not self.request_timeout_s > 0:
            raise ValueError(f"request_timeout_s must be positive, but is {self.request_timeout_s!r}")
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must be from 0 to 65535, but is {self.port!r}")
