"""The logging configuration, and where it stands."""

import logging
from typing import Any

import pytest

from ray_async import serve
from ray_async.serve.application import build, with_logging
from ray_async.serve.deploying.schema import ConfigError, ServeDeploySchema
from ray_async.serve.schema import LoggingConfig


@serve.deployment
def nothing() -> None: ...


def test_values() -> None:
    config = LoggingConfig(encoding="JSON", log_level=logging.DEBUG, additional_log_standard_attrs=["name", "name"])
    assert (config.log_level, config.additional_log_standard_attrs) == ("DEBUG", ["name"])
    assert config == LoggingConfig("JSON", "debug", additional_log_standard_attrs=["name"])
    assert LoggingConfig().writes_access and not LoggingConfig(log_level="WARNING").writes_access


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding", "XML"),
        ("log_level", "LOUD"),
        ("log_level", 7),
        ("log_level", True),
        ("logs_dir", 3),
        ("enable_access_log", 1),
        ("additional_log_standard_attrs", ["colour"]),
        ("additional_log_standard_attrs", "name"),
    ],
)
def test_bad_values_name_their_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        nothing.options(logging_config={field: value})


def test_unknown_fields_and_types() -> None:
    with pytest.raises(ValueError, match=r"unknown key of logging_config: \['level'\]"):
        nothing.options(logging_config={"level": "INFO"})
    with pytest.raises(TypeError, match="logging_config must be a dict"):
        nothing.options(logging_config="JSON")


def test_a_deployments_own_goes_before_that_of_its_application() -> None:
    own = nothing.options(name="own", logging_config={"encoding": "JSON"})
    assert own.logging_config == LoggingConfig("JSON")
    built = with_logging(build(own.bind(), "app", "/"), LoggingConfig(log_level="ERROR"))
    assert built.deployments[0].options.logging_config == LoggingConfig("JSON")
    built = with_logging(build(nothing.bind(), "app", "/"), LoggingConfig(log_level="ERROR"))
    assert built.deployments[0].options.logging_config == LoggingConfig(log_level="ERROR")
    nothing_else = nothing.options()
    nothing_else.set_logging_config({"log_level": "DEBUG"})
    assert nothing_else.logging_config == LoggingConfig(log_level="DEBUG")
    assert nothing.logging_config is None


def test_config_files() -> None:
    application = {"import_path": "a:b", "logging_config": {"encoding": "JSON"}}
    schema = ServeDeploySchema.of({"applications": [application], "logging_config": {"log_level": "ERROR"}})
    assert schema.logging_config is not None and schema.logging_config.config() == LoggingConfig(log_level="ERROR")
    application["logging_config"] = {"encodng": "JSON"}
    with pytest.raises(ConfigError, match=r"applications\[0\]\.logging_config\.encodng: .*Did you mean 'encoding'"):
        ServeDeploySchema.of({"applications": [application]})
    application["logging_config"] = {"encoding": "XML"}
    with pytest.raises(ConfigError, match=r"applications\[0\]\.logging_config: encoding must be one of"):
        ServeDeploySchema.of({"applications": [application]})
