from __future__ import annotations

import re
from pathlib import Path

import pytest

from ray_async import config
from ray_async.config import SETTINGS, Settings, read_environment


def test_defaults() -> None:
    settings = Settings(environ={})
    assert settings.get(config.TASK_MAX_RETRIES) == 3
    assert settings.get(config.OBJECT_STORE_MAX_MEMORY_BYTES) == 200_000_000_000
    assert settings.get(config.OBJECT_SPILLING_THRESHOLD) == 0.8
    assert settings.get(config.OVERRIDE_RESOURCES) is None
    assert settings.as_dict() == {name: setting.default for name, setting in SETTINGS.items()}


def test_sources_in_order() -> None:
    environ = {"RAY_TASK_MAX_RETRIES": "1"}
    assert Settings(environ=environ).get(config.TASK_MAX_RETRIES) == 1
    environ["RAY_ASYNC_TASK_MAX_RETRIES"] = "2"
    assert Settings(environ=environ).get(config.TASK_MAX_RETRIES) == 2
    environ["RAY_ASYNC_task_max_retries"] = "4"
    assert read_environment("task_max_retries", environ) == ("RAY_ASYNC_task_max_retries", "4")
    assert Settings({"task_max_retries": 5}, environ).get(config.TASK_MAX_RETRIES) == 5


def test_lower_case_names_of_the_system_configuration() -> None:
    environ = {"RAY_object_spilling_threshold": "0.5"}
    assert Settings(environ=environ).get(config.OBJECT_SPILLING_THRESHOLD) == 0.5


def test_values_are_read_at_use(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    monkeypatch.setenv("RAY_ASYNC_TASK_MAX_RETRIES", "8")
    assert settings.get(config.TASK_MAX_RETRIES) == 8
    monkeypatch.setenv("RAY_ASYNC_TASK_MAX_RETRIES", "9")
    assert settings.get(config.TASK_MAX_RETRIES) == 9


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("False", False), ("", False)])
def test_flags(text: str, value: bool) -> None:
    assert Settings(environ={"RAY_LOG_TO_DRIVER": text}).get(config.LOG_TO_DRIVER) is value
    assert Settings({"log_to_driver": value}, {}).get(config.LOG_TO_DRIVER) is value


def test_json() -> None:
    environ = {"RAY_OVERRIDE_RESOURCES": '{"CPU": 4}'}
    assert Settings(environ=environ).get(config.OVERRIDE_RESOURCES) == {"CPU": 4}
    assert Settings({"override_resources": {"CPU": 2}}, {}).get(config.OVERRIDE_RESOURCES) == {"CPU": 2}
    assert Settings({"override_resources": '{"CPU": 3}'}, {}).get(config.OVERRIDE_RESOURCES) == {"CPU": 3}


@pytest.mark.parametrize(
    ("variable", "text", "expects"),
    [
        ("RAY_TASK_MAX_RETRIES", "many", "a whole number"),
        ("RAY_ASYNC_object_spilling_threshold", "half", "a number"),
        ("RAY_LOG_TO_DRIVER", "maybe", "one of 1, 0"),
        ("RAY_OVERRIDE_LABELS", "{", "JSON"),
    ],
)
def test_bad_values_name_the_variable(variable: str, text: str, expects: str) -> None:
    with pytest.raises(ValueError, match=f"{variable}='{text}'.*{expects}".replace("{", r"\{")):
        Settings(environ={variable: text}).as_dict()


def test_bad_overrides_name_the_key() -> None:
    with pytest.raises(ValueError, match=r"_system_config\['task_max_retries'\]=1.5: expected a whole number"):
        Settings({"task_max_retries": 1.5}, {}).get(config.TASK_MAX_RETRIES)
    with pytest.raises(TypeError, match="must be a dict"):
        Settings([1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be str"):
        Settings({1: 2})  # type: ignore[dict-item]


def test_unknown_overrides_are_kept_and_listed() -> None:
    settings = Settings({"gcs_rpc_something": 1, "task_retry_delay_ms": 5}, {})
    assert settings.unknown == ("gcs_rpc_something",)
    assert settings.overrides["gcs_rpc_something"] == 1
    assert settings.get(config.TASK_RETRY_DELAY_MS) == 5


def test_settings_of_parts_that_do_not_exist_are_accepted() -> None:
    """Ray's programs set them, by variable or by argument."""
    given = {"health_check_period_ms": 5, "gcs_server_request_timeout_seconds": "soon"}
    settings = Settings(given, {"RAY_max_direct_call_object_size": "1", "RAY_BACKEND_LOG_LEVEL": "debug"})
    assert settings.unknown == tuple(given)
    assert settings.as_dict() == {name: setting.default for name, setting in SETTINGS.items()}


def test_every_setting_has_an_effect() -> None:
    package = Path(config.__file__).parent
    source = "\n".join(path.read_text() for path in package.rglob("*.py") if path != Path(config.__file__))
    constants = [name for name, value in vars(config).items() if isinstance(value, config.Setting)]
    assert len(constants) == len(SETTINGS)
    assert [name for name in constants if not re.search(rf"settings?(?:\(.*\))?\.get\({name}\)", source, re.I)] == []


def test_table_is_sound() -> None:
    for name, setting in SETTINGS.items():
        assert name == setting.name == name.lower()
        assert setting.meaning
