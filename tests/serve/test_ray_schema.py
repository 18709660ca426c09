"""Schemas and a client as programs written for Ray use them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.dashboard.modules.serve.sdk import ServeSubmissionClient
from ray_async.serve.config import GangSchedulingConfig
from ray_async.serve.deploying.schema import ConfigError
from ray_async.serve.deployment import deployment_to_schema, schema_to_deployment
from ray_async.serve.rest.options import RESTOptions
from ray_async.serve.schema import (
    DeploymentSchema,
    RayActorOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
    ServeInstanceDetails,
)
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import wait_until

AUTO = {"name": "a", "num_replicas": "auto"}
SHOP = """
from ray_async import serve

@serve.deployment
def shop() -> str:
    return "shop"

app = shop.bind()
"""


def test_unknown_fields_are_passed_over() -> None:
    assert DeploymentSchema.model_validate({"name": "a", "other": 1}).num_replicas is None
    assert RayActorOptionsSchema.model_validate({"other": 1}).model_dump()["resources"] == {}
    config = ServeDeploySchema.model_validate({"applications": [{"import_path": "a:b", "other": 1}], "other": 1})
    assert config.applications[0].route_prefix == "/"
    assert ServeDeploySchema.get_empty_schema_dict()["target_capacity"] is None


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (DeploymentSchema, {"num_replicas": 0}, "greater than 0"),
        (DeploymentSchema, {"max_queued_requests": 0}, "1 or more"),
        (DeploymentSchema, {"num_replicas": 2, "autoscaling_config": {}}, "exclude each other"),
        (DeploymentSchema, {"num_replicas": 3, "gang_scheduling_config": {"gang_size": 2}}, "multiple of gang_size"),
        (
            DeploymentSchema,
            {"autoscaling_config": {"max_replicas": 3}, "gang_scheduling_config": {"gang_size": 2}},
            "autoscaling_config.max_replicas",
        ),
        (DeploymentSchema, {"max_replicas_per_node": 1, "gang_scheduling_config": {"gang_size": 1}}, "not allowed"),
        (DeploymentSchema, {"placement_group_bundle_label_selector": [{}]}, "not allowed"),
        (RayActorOptionsSchema, {"num_cpus": -1}, "greater than or equal to 0"),
        (RayActorOptionsSchema, {"runtime_env": {"working_dir": "."}}, "remote URIs"),
        (ServeApplicationSchema, {"import_path": "a"}, "module:attribute"),
        (
            ServeApplicationSchema,
            {
                "import_path": "a:b",
                "external_scaler_enabled": True,
                "deployments": [{"name": "a", "num_replicas": "auto"}],
            },
            "external_scaler_enabled is set to True",
        ),
        (ServeDeploySchema, {"applications": [{"import_path": "a:b", "port": 1}]}, "of http_options"),
        (ServeDeploySchema, {"applications": [{"import_path": "a:b", "name": ""}]}, "empty"),
        (ServeDeploySchema, {"applications": [{"import_path": "a:b"}] * 2}, "more often"),
        (ServeDeploySchema, {"applications": [], "target_capacity": 101}, "less than or equal to 100"),
    ],
)
def test_bad_values(schema: type[pydantic.BaseModel], value: dict[str, Any], words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        schema.model_validate({"name": "a", **value})


def test_deployments_there_and_back() -> None:
    class Model: ...

    options = {"num_replicas": 4, "gang_scheduling_config": {"gang_size": 2}, "ray_actor_options": {"num_cpus": 1}}
    deployment = serve.deployment(**options)(Model)
    schema = deployment_to_schema(deployment)
    assert schema.gang_scheduling_config == GangSchedulingConfig(2)
    again = schema_to_deployment(schema)
    assert (again.name, again.num_replicas, again.ray_actor_options) == ("Model", 4, {"num_cpus": 1})


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ServeSubmissionClient]:
    (tmp_path / "shop.py").write_text(SHOP)
    ray.init(num_cpus=2, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0), rest_options=RESTOptions(0, path=(str(tmp_path),)))
    status = serve.status()
    token = Path(status.rest_token_file).read_text().strip()
    address = status.rest_address
    url = address if "://" in address else f"http://{address}"
    yield ServeSubmissionClient(url, headers={"Authorization": f"Bearer {token}"})
    serve.shutdown()
    ray.shutdown()


def test_a_client_deploys_and_looks(client: ServeSubmissionClient) -> None:
    def details() -> ServeInstanceDetails:
        return ServeInstanceDetails(**client.get_serve_details())

    client.deploy_applications({"applications": [{"import_path": "shop:app", "route_prefix": None}]})
    wait_until(lambda: details().applications["default"].status == "RUNNING")
    assert list(details().applications["default"].deployments) == ["shop"]
    with pytest.raises(RuntimeError, match="status 400"):
        client.deploy_applications({"applications": 3})
    client.delete_applications()
    assert details().applications == {}
    with pytest.raises(ValueError, match="http"):
        ServeSubmissionClient("localhost")


def test_another_class_for_the_same_options() -> None:
    first = serve.deployment(name="first", num_replicas=3)(lambda: "first")
    again = schema_to_deployment(deployment_to_schema(first)).options(func_or_class="tests.serve.test_ray_schema:other")
    assert (again.name, again.num_replicas) == ("first", 3)
    assert again.bind().func_or_class is other and first.options(other).func_or_class is other
    with pytest.raises(ConfigError, match="'nothing'"):
        again.options(func_or_class="tests.serve.test_ray_schema:nothing").bind()
    with pytest.raises(TypeError, match="for classes and functions"):
        again.options(func_or_class=3)  # type: ignore[arg-type]


def test_a_name_by_position_is_passed_over() -> None:
    with pytest.warns(UserWarning, match="write name='counter'"):
        made = serve.deployment("counter", num_replicas=2)(other)
    assert (made.name, made.num_replicas) == ("other", 2)


def other() -> str:
    return "other"
