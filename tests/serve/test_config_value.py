"""Configuration values made of dicts, and given out as such."""

from typing import Any

import pydantic
import pytest

from ray_async.serve.autoscaling_policy import default_autoscaling_policy
from ray_async.serve.config import (
    AutoscalingConfig,
    AutoscalingPolicy,
    BackpressureConfig,
    GangSchedulingConfig,
    RequestRouterConfig,
)
from ray_async.serve.config_value import ConfigValue
from ray_async.serve.schema import DeploymentSchema, LoggingConfig


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (AutoscalingConfig, {"max_replicas": 3, "policy": {"policy_function": "a:b", "policy_kwargs": {"c": 1}}}),
        (AutoscalingPolicy, {"policy_function": "a:b"}),
        (BackpressureConfig, {"status_code": 429}),
        (GangSchedulingConfig, {"gang_size": 2, "gang_placement_strategy": "SPREAD"}),
        (LoggingConfig, {"encoding": "JSON", "log_level": "DEBUG", "additional_log_standard_attrs": ["name"]}),
        (RequestRouterConfig, {"request_router_class": "a:b", "max_backoff_s": 1.0}),
    ],
)
def test_round_trip(kind: type[ConfigValue], given: dict[str, Any]) -> None:
    made = kind.model_validate(given)
    dumped = made.model_dump()
    assert type(made) is kind and kind.model_validate(made) == made == kind.model_validate(dumped)
    assert {key: dumped[key] for key in given} == given


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (LoggingConfig, {"logging_level": "INFO"}, "unknown key"),
        (LoggingConfig, {"encoding": "XML"}, "encoding must be one of"),
        (LoggingConfig, {"additional_log_standard_attrs": "name"}, "list of names"),
        (LoggingConfig, "JSON", "must be a dict"),
        (LoggingConfig, None, "not None"),
        (GangSchedulingConfig, {}, "gang_size"),
        (AutoscalingConfig, {"min_replicas": "one"}, "not supported between"),
        (AutoscalingConfig, {"policy": {"function": "a:b"}}, "unknown key of autoscaling_config.policy"),
    ],
)
def test_bad_values(kind: type[ConfigValue], given: Any, words: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=words):
        kind.model_validate(given)


def test_what_is_given_out_is_a_copy() -> None:
    config = LoggingConfig(additional_log_standard_attrs=["name"])
    config.model_dump()["additional_log_standard_attrs"].append("process")
    assert config.additional_log_standard_attrs == ["name"] and hash(config) == hash(LoggingConfig())
    assert "logs_dir" in config.model_dump() and "logs_dir" not in config.model_dump(exclude_none=True)


def test_a_function_stays_the_policy() -> None:
    config = AutoscalingConfig(policy=AutoscalingPolicy(default_autoscaling_policy))
    assert AutoscalingConfig.model_validate(config.model_dump()) == config


def test_a_schema_takes_what_is_given_out() -> None:
    dumped = AutoscalingConfig(max_replicas=4).model_dump()
    schema = DeploymentSchema.model_validate({"name": "a", "autoscaling_config": dumped})
    assert schema.autoscaling_config is not None
    with pytest.raises(ValueError, match="exclude each other"):
        DeploymentSchema.model_validate({"name": "a", "num_replicas": 2, "autoscaling_config": dumped})
