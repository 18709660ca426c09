"""Config schemas as programs written for Ray use them: Pydantic models that pass over fields which they do not know.

What deploys a config reads it by `deploying.schema`, which names unknown fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pydantic
from pydantic import Field

from ray_async.serve.deploying.schema import HTTPOptionsSchema, gRPCOptionsSchema
from ray_async.serve.gang import GangSchedulingConfig

__all__ = ("LenientDeploySchema", "LenientDeploymentSchema", "RayActorOptionsSchema", "ServeApplicationSchema")

NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
_PER_APPLICATION = ("host", "port")  # belong to the whole config


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore", arbitrary_types_allowed=True)

    @classmethod
    def get_empty_schema_dict(cls) -> dict[str, Any]:
        """The fields with their defaults."""
        return {name: field.get_default(call_default_factory=True) for name, field in cls.model_fields.items()}


def _check_runtime_env(value: dict[str, Any] | None) -> dict[str, Any] | None:
    """Refuse paths of one machine: whoever deploys a config may be on another."""
    env = value or {}
    for uri in (env.get("working_dir"), *(env.get("py_modules") or ())):
        if uri is not None and not urlsplit(uri).scheme:
            raise ValueError(f"working_dir and py_modules must be remote URIs, but there is {uri!r}")
    return value


RuntimeEnv = Annotated[dict[str, Any], pydantic.AfterValidator(_check_runtime_env)]


class RayActorOptionsSchema(_Model):
    """Options of the replicas' actors."""

    runtime_env: RuntimeEnv = {}
    num_cpus: NotNegative | None = None
    num_gpus: NotNegative | None = None
    memory: NotNegative | None = None
    resources: dict[str, Any] = {}
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None
    fallback_strategy: list[dict[str, Any]] | None = None


class LenientDeploymentSchema(_Model):
    """What a config changes of a deployment."""

    name: str
    num_replicas: Annotated[int, Field(gt=0)] | Literal["auto"] | None = None
    max_ongoing_requests: Annotated[int, Field(gt=0)] | None = None
    max_queued_requests: Annotated[int, Field(strict=True)] | None = None
    user_config: Any = None
    autoscaling_config: Any = None
    graceful_shutdown_wait_loop_s: NotNegative | None = None
    graceful_shutdown_timeout_s: NotNegative | None = None
    health_check_period_s: Positive | None = None
    health_check_timeout_s: Positive | None = None
    ray_actor_options: RayActorOptionsSchema | None = None
    max_replicas_per_node: Annotated[int, Field(ge=1, le=100)] | None = None
    placement_group_bundles: list[dict[str, float]] | None = None
    placement_group_strategy: str | None = None
    placement_group_bundle_label_selector: list[dict[str, str]] | None = None
    logging_config: Any = None
    request_router_config: Any = None
    gang_scheduling_config: GangSchedulingConfig | None = None
    deployment_actors: list[Any] | None = None

    @pydantic.field_validator("gang_scheduling_config", mode="before")
    @classmethod
    def _gangs(cls, value: Any) -> Any:
        return GangSchedulingConfig.of(value) if isinstance(value, Mapping) else value

    @pydantic.field_validator("max_queued_requests")
    @classmethod
    def _any_or_some(cls, value: int | None) -> int | None:
        if value is not None and value != -1 and value < 1:
            raise ValueError(f"must be -1, for any number, or 1 or more, but is {value}")
        return value

    @pydantic.model_validator(mode="after")
    def _go_together(self) -> LenientDeploymentSchema:
        if isinstance(self.num_replicas, int) and self.autoscaling_config is not None:
            raise ValueError("num_replicas and autoscaling_config exclude each other, unless num_replicas is 'auto'")
        _check_places(self)
        if self.gang_scheduling_config is not None:
            _check_gangs(self, self.gang_scheduling_config.gang_size)
        return self


def _check_places(schema: LenientDeploymentSchema) -> None:
    bundles, selectors = schema.placement_group_bundles, schema.placement_group_bundle_label_selector
    for name, value in (
        ("placement_group_bundles", bundles),
        ("gang_scheduling_config", schema.gang_scheduling_config),
    ):
        if schema.max_replicas_per_node is not None and value is not None:
            raise ValueError(f"Setting max_replicas_per_node is not allowed when {name} is provided.")
    if schema.placement_group_strategy is not None and schema.gang_scheduling_config is not None:
        raise ValueError("Setting placement_group_strategy is not allowed when gang_scheduling_config is provided.")
    if selectors is not None and bundles is None:
        raise ValueError("Setting bundle_label_selector is not allowed when placement_group_bundles is not provided.")
    if selectors and len(selectors) not in (1, len(bundles or ())):
        raise ValueError(
            "The placement_group_bundle_label_selector list must contain either a single selector (to apply to all "
            "bundles) or match the number of `placement_group_bundles`."
        )


def _check_gangs(schema: LenientDeploymentSchema, size: int) -> None:
    if isinstance(schema.num_replicas, int) and schema.num_replicas % size:
        raise ValueError(f"num_replicas ({schema.num_replicas}) must be a multiple of gang_size ({size}).")
    scaling = schema.autoscaling_config
    for name in ("min_replicas", "max_replicas", "initial_replicas"):
        bound = scaling.get(name) if isinstance(scaling, Mapping) else getattr(scaling, name, None)
        if name == "min_replicas" and bound == 0:
            raise ValueError("Scale to zero isn't supported for gang scheduling.")
        if bound is not None and bound % size:
            raise ValueError(f"autoscaling_config.{name} ({bound}) must be a multiple of gang_size ({size}).")


class ServeApplicationSchema(_Model):
    """An application: where it is found, where it is served, and what is changed of its deployments."""

    name: str = "default"
    route_prefix: str | None = "/"
    import_path: str
    runtime_env: RuntimeEnv = {}
    args: dict[str, Any] = {}
    logging_config: Any = None
    autoscaling_policy: dict[str, Any] | None = None
    external_scaler_enabled: bool = False
    deployments: list[LenientDeploymentSchema] = []

    @pydantic.field_validator("import_path")
    @classmethod
    def _names_an_attribute(cls, value: str) -> str:
        module, _, attribute = value.partition(":") if ":" in value else value.rpartition(".")
        if not module or not attribute or value.count(":") > 1:
            raise ValueError(f"must be 'module:attribute' or 'module.attribute', but is {value!r}")
        return value

    @pydantic.model_validator(mode="after")
    def _scaled_by_one(self) -> ServeApplicationSchema:
        scaled = [one.name for one in self.deployments if one.autoscaling_config or one.num_replicas == "auto"]
        if self.external_scaler_enabled and scaled:
            raise ValueError(
                f"external_scaler_enabled is set to True, so deployments cannot scale themselves, but {scaled} do"
            )
        return self


class LenientDeploySchema(_Model):
    """A config."""

    proxy_location: str = "EveryNode"
    http_options: HTTPOptionsSchema = HTTPOptionsSchema()
    grpc_options: gRPCOptionsSchema = gRPCOptionsSchema()
    logging_config: Any = None
    target_capacity: Annotated[float, Field(ge=0, le=100)] | None = None
    applications: list[ServeApplicationSchema]

    @pydantic.field_validator("applications", mode="before")
    @classmethod
    def _where_it_belongs(cls, value: Any) -> Any:
        for one in value if isinstance(value, list) else ():
            lost = [name for name in _PER_APPLICATION if isinstance(one, Mapping) and name in one]
            if lost:
                raise ValueError(f"{', '.join(lost)} is of http_options, not of an application")
        return value

    @pydantic.model_validator(mode="after")
    def _once(self) -> LenientDeploySchema:
        names = [one.name for one in self.applications]
        prefixes = [one.route_prefix for one in self.applications if one.route_prefix is not None]
        if "" in names:
            raise ValueError("an application's name must not be empty")
        for what, values in (("application", names), ("route_prefix", prefixes)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"each {what} may be there once, but {', '.join(twice)} is there more often")
        return self
