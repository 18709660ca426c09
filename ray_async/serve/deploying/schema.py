"""The schema of config files: what is allowed in them, and errors that name the path of the field."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import yaml

from ray_async.serve.config import AutoscalingPolicy, BackpressureConfig, ControllerOptions, RequestRouterConfig
from ray_async.serve.environment import check_remote
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = (
    "ApplicationSchema",
    "ConfigError",
    "DeploymentSchema",
    "HTTPOptionsSchema",
    "LoggingConfigSchema",
    "RequestRouterSchema",
    "ServeDeploySchema",
    "gRPCOptionsSchema",
    "read_config",
)


class ConfigError(RayServeException, ValueError):
    """A config that does not say what it may.

    Args:
        text: What is wrong.
        fields: The path of each bad field, and what is wrong with it.
    """

    def __init__(self, text: str, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text, tuple(fields))
        self.fields = tuple(fields)

    def __str__(self) -> str:
        return str(self.args[0])


class _Schema(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """The fields that were given; null among them."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class LoggingConfigSchema(_Schema):
    """How replicas log."""

    encoding: str = "TEXT"
    log_level: str | int = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[str] = []

    @pydantic.model_validator(mode="after")
    def _is_allowed(self) -> LoggingConfigSchema:
        self.config()
        return self

    def config(self) -> ServeLoggingConfig:
        """The same, as options have it."""
        return ServeLoggingConfig(**self.model_dump())


class AutoscalingPolicySchema(_Schema):
    """Who says how many replicas there shall be."""

    policy_function: str
    policy_kwargs: dict[str, Any] = {}

    @pydantic.model_validator(mode="after")
    def _is_allowed(self) -> AutoscalingPolicySchema:
        self.config()
        return self

    def config(self) -> AutoscalingPolicy:
        """The same, as options have it."""
        return AutoscalingPolicy(**self.model_dump())


class AutoscalingSchema(_Schema):
    """How many replicas a deployment gets."""

    min_replicas: int = 1
    initial_replicas: int | None = None
    max_replicas: int = 1
    target_ongoing_requests: float = 2
    metrics_interval_s: float = 10.0
    look_back_period_s: float = 30.0
    smoothing_factor: float = 1.0
    upscale_smoothing_factor: float | None = None
    downscale_smoothing_factor: float | None = None
    upscaling_factor: float | None = None
    downscaling_factor: float | None = None
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    upscale_delay_s: float = 30.0
    aggregation_function: str = "mean"
    policy: AutoscalingPolicySchema | None = None

    @pydantic.field_validator("policy", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return {"policy_function": value} if isinstance(value, str) else value

    def given(self) -> dict[str, Any]:
        """The fields that were given, as options have them."""
        policy = None if self.policy is None else self.policy.model_dump()
        return {name: policy if name == "policy" else value for name, value in super().given().items()}


class BackpressureSchema(_Schema):
    """How clients are told that too many requests wait."""

    status_code: Literal[503, 429] = 503
    retry_after_s: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] | None = None

    def config(self) -> BackpressureConfig:
        """The same, as options have it."""
        return BackpressureConfig(**self.model_dump())


class TracingConfigSchema(_Schema):
    """Where replicas send spans."""

    exporter_import_path: str
    sampling_ratio: float = 1.0

    @pydantic.model_validator(mode="after")
    def _is_allowed(self) -> TracingConfigSchema:
        self.config()
        return self

    def config(self) -> TracingConfig:
        """The same, as `serve.start` has it."""
        return TracingConfig(**self.model_dump())


class ControllerOptionsSchema(_Schema):
    """How the controller runs."""

    runtime_env: dict[str, Any] | None = None

    @pydantic.model_validator(mode="after")
    def _is_allowed(self) -> ControllerOptionsSchema:
        try:
            self.config()
        except TypeError as error:
            raise ValueError(str(error)) from None
        return self

    def config(self) -> ControllerOptions:
        """The same, as `serve.start` has it."""
        return ControllerOptions(**self.model_dump())


class RequestRouterSchema(_Schema):
    """Who chooses the replica for each call."""

    request_router_class: str = RequestRouterConfig.request_router_class
    request_router_kwargs: dict[str, Any] = {}
    request_routing_stats_period_s: float = 10.0
    request_routing_stats_timeout_s: float = 30.0
    initial_backoff_s: float = 0.025
    backoff_multiplier: float = 2.0
    max_backoff_s: float = 0.5

    @pydantic.model_validator(mode="after")
    def _is_allowed(self) -> RequestRouterSchema:
        self.config()
        return self

    def config(self) -> RequestRouterConfig:
        """The same, as options have it."""
        return RequestRouterConfig(**self.model_dump())


class GangSchedulingSchema(_Schema):
    """Gangs of a deployment."""

    gang_size: int
    gang_placement_strategy: Literal["PACK", "SPREAD"] = "PACK"
    runtime_failure_policy: Literal["RESTART_GANG", "RESTART_REPLICA"] = "RESTART_GANG"


class DeploymentActorSchema(_Schema):
    """An actor that a deployment's replicas share."""

    name: str
    actor_class: str
    init_args: list[Any] = []
    init_kwargs: dict[str, Any] = {}
    actor_options: dict[str, Any] = {}


class DeploymentSchema(_Schema):
    """What a file changes of a deployment; fields that are absent keep what the decorator says."""

    name: str
    num_replicas: int | Literal["auto"] | None = None
    max_ongoing_requests: int | None = None
    max_queued_requests: int | None = None
    user_config: Any = None
    autoscaling_config: AutoscalingSchema | None = None
    graceful_shutdown_wait_loop_s: float | None = None
    graceful_shutdown_timeout_s: float | None = None
    health_check_period_s: float | None = None
    health_check_timeout_s: float | None = None
    max_constructor_retry_count: int | None = None
    rolling_update_percentage: float | None = None
    idempotent: bool | None = None
    logging_config: LoggingConfigSchema | None = None
    ray_actor_options: dict[str, Any] | None = None
    request_router_config: RequestRouterSchema | None = None
    deployment_actors: list[DeploymentActorSchema] | None = None
    gang_scheduling_config: GangSchedulingSchema | None = None
    backpressure_config: BackpressureSchema | None = None
    placement_group_bundles: list[dict[str, float]] | None = None
    placement_group_strategy: Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] | None = None
    placement_group_bundle_label_selector: list[dict[str, str]] | None = None
    max_replicas_per_node: Annotated[int, pydantic.Field(ge=1, le=100)] | None = None
    max_surge_percent: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None

    @pydantic.model_validator(mode="after")
    def _one_number(self) -> DeploymentSchema:
        if isinstance(self.num_replicas, int) and self.autoscaling_config is not None:
            raise ValueError("num_replicas and autoscaling_config exclude each other, unless num_replicas is 'auto'")
        return self


class ApplicationSchema(_Schema):
    """An application: where it is found, where it is served, and what is changed of its deployments."""

    name: str = "default"
    route_prefix: str | None = "/"
    import_path: str
    runtime_env: dict[str, Any] = {}
    args: dict[str, Any] = {}
    logging_config: LoggingConfigSchema | None = None
    autoscaling_policy: AutoscalingPolicySchema | None = None
    external_scaler_enabled: bool = False
    deployments: list[DeploymentSchema] = []

    @pydantic.field_validator("import_path")
    @classmethod
    def _names_an_attribute(cls, value: str) -> str:
        module, _, attribute = value.partition(":") if ":" in value else value.rpartition(".")
        if not module or not attribute or value.count(":") > 1:
            raise ValueError(f"must be 'module:attribute' or 'module.attribute', but is {value!r}")
        return value

    @pydantic.field_validator("route_prefix")
    @classmethod
    def _is_prefix(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("/") or (value != "/" and value.endswith("/"))):
            raise ValueError(f"must start with '/' and not end with '/', but is {value!r}")
        return value

    @pydantic.field_validator("runtime_env")
    @classmethod
    def _is_remote(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            check_remote(value)
        except TypeError as error:
            raise ValueError(str(error)) from None
        return value

    @pydantic.field_validator("deployments")
    @classmethod
    def _deployments_once(cls, value: list[DeploymentSchema]) -> list[DeploymentSchema]:
        _once("deployment", [deployment.name for deployment in value])
        return value


class HTTPOptionsSchema(_Schema):
    """Where HTTP is served, and how."""

    host: str = "0.0.0.0"
    port: int = 8000
    root_path: str = ""
    request_timeout_s: float | None = None
    keep_alive_timeout_s: int = 90
    head_timeout_s: float | None = 20.0
    stall_timeout_s: float | None = 60.0
    websocket_ping_interval_s: float = 20.0
    websocket_ping_timeout_s: float = 20.0
    max_body_bytes: int | None = 100 * 2**20
    metrics: bool = False
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None


class gRPCOptionsSchema(_Schema):  # Ray's name
    """Where gRPC is served, and which services."""

    host: str = "0.0.0.0"
    port: int = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: float | None = None
    enable_reflection: bool = True


class ServeDeploySchema(_Schema):
    """A config file."""

    proxy_location: Literal["Disabled", "HeadOnly", "EveryNode"] = "EveryNode"
    http_options: HTTPOptionsSchema = HTTPOptionsSchema()
    grpc_options: gRPCOptionsSchema = gRPCOptionsSchema()
    logging_config: LoggingConfigSchema | None = None
    tracing_config: TracingConfigSchema | None = None
    controller_options: ControllerOptionsSchema | None = None
    target_capacity: Annotated[float, pydantic.Field(ge=0, le=100)] | None = None
    applications: list[ApplicationSchema]

    @pydantic.field_validator("applications")
    @classmethod
    def _applications_once(cls, value: list[ApplicationSchema]) -> list[ApplicationSchema]:
        _once("application", [application.name for application in value])
        _once("route_prefix", [one.route_prefix for one in value if one.route_prefix is not None])
        return value

    @classmethod
    def of(cls, value: Any) -> ServeDeploySchema:
        """Check a value.

        Raises:
            ConfigError: With the path of each bad field, and the nearest name for one that does not exist.
        """
        try:
            return cls.model_validate(value)
        except pydantic.ValidationError as error:
            bad = [_field(cls, dict(one)) for one in error.errors(include_url=False)]
            lines = [f"  {path or 'the config'}: {text}" for path, text in bad]
            raise ConfigError("\n".join(("the config is not valid:", *lines)), bad) from None


def read_config(path: Path) -> ServeDeploySchema:
    """Read a config file.

    Raises:
        ConfigError: It is no YAML, or does not say what it may.
        OSError: It cannot be read.
    """
    try:
        value = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    return ServeDeploySchema.of(value)


def _once(what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"each {what} may be there once, but {', '.join(twice)} is there more often")


def _field(schema: type[_Schema], error: dict[str, Any]) -> tuple[str, str]:
    """The path of a bad field, and what is wrong with it."""
    location = error["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(location[-1]), _fields_at(schema, location[:-1]), n=1)
        return path, "there is no such field." + (f" Did you mean {near[0]!r}?" if near else "")
    return path, error["msg"].removeprefix("Value error, ")


def _fields_at(schema: type[_Schema], location: tuple[Any, ...]) -> list[str]:
    """The fields that there are at a place in the file."""
    nested: dict[str, type[_Schema]] = {
        "applications": ApplicationSchema,
        "deployments": DeploymentSchema,
        "http_options": HTTPOptionsSchema,
        "grpc_options": gRPCOptionsSchema,
        "logging_config": LoggingConfigSchema,
        "request_router_config": RequestRouterSchema,
        "autoscaling_policy": AutoscalingPolicySchema,
        "autoscaling_config": AutoscalingSchema,
        "policy": AutoscalingPolicySchema,
        "backpressure_config": BackpressureSchema,
        "tracing_config": TracingConfigSchema,
        "controller_options": ControllerOptionsSchema,
        "deployment_actors": DeploymentActorSchema,
        "gang_scheduling_config": GangSchedulingSchema,
    }
    for part in location:
        schema = nested.get(part, schema) if isinstance(part, str) else schema
    return list(schema.model_fields)
