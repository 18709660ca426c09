"""Validation of the fields of a runtime environment."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ("FIELD_CHECKS", "check_combination", "check_fields", "is_uri", "parse_config")

_REMOTE_SCHEMES = ("https", "s3", "gs", "azure", "abfss")
_SCHEMES = ("pkg", "gcs", "file", *_REMOTE_SCHEMES)
_ARCHIVES = (".zip", ".whl", ".tar.gz", ".tgz", ".tar.xz")


def is_uri(text: str) -> bool:
    """Whether a working directory or a module is given by address rather than by path."""
    return "://" in text


def _location(field: str, value: str, *, single_files: bool) -> str:
    if is_uri(value):
        scheme = value.partition("://")[0]
        if scheme not in _SCHEMES:
            raise ValueError(f"{field}: {value!r} is not a valid URI; known schemes are {', '.join(_SCHEMES)}")
        if scheme in _REMOTE_SCHEMES and not value.endswith(_ARCHIVES):
            raise ValueError(f"{field}: {value!r}: Only .zip or .whl files supported for remote URIs.")
        return value
    path = Path(value).expanduser()
    if path.is_dir() or (path.is_file() and (single_files or value.endswith(_ARCHIVES))):
        return value
    raise ValueError(f"{field}: {value!r} is not a valid path of a directory or of an archive {_ARCHIVES}")


def _working_dir(value: Any) -> str:
    if isinstance(value, Path):
        value = str(value)
    if not isinstance(value, str):
        raise TypeError(f"working_dir must be a string, got {type(value).__name__}")
    return _location("working_dir", value, single_files=False)


def _py_modules(value: Any) -> list[Any] | None:
    if not isinstance(value, list):
        raise TypeError(f"py_modules must be a list of strings (or modules), got {type(value).__name__}")
    return [_py_module(item) for item in value] or None


def _py_module(item: Any) -> str:
    if isinstance(item, types.ModuleType):
        locations = list(getattr(item, "__path__", ())) or [getattr(item, "__file__", None)]
        if not isinstance(locations[0], str):
            raise ValueError(f"py_modules: the module {item.__name__!r} has no files that could be sent")
        return locations[0]
    if isinstance(item, Path):
        item = str(item)
    if not isinstance(item, str):
        raise TypeError(f"py_modules must be a list of strings (or modules), got an item {item!r}")
    return _location("py_modules", item, single_files=True)


def _strings(field: str) -> Callable[[Any], list[str] | None]:
    def check(value: Any) -> list[str] | None:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"{field} must be a list of strings, got {value!r}")
        return value or None

    return check


def _env_vars(value: Any) -> dict[str, str] | None:
    if not isinstance(value, Mapping):
        raise TypeError(f"env_vars must map strings to strings, got {type(value).__name__}")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise TypeError(f"env_vars must map strings to strings, but the variable {key!r} has the value {item!r}")
        if not key or "=" in key or "\0" in key + item:
            raise ValueError(f"env_vars: {key!r} cannot be the name of an environment variable with value {item!r}")
    return dict(value) or None


def _packages(field: str) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if isinstance(value, str):
            path = Path(value).expanduser()
            if not path.is_file():
                raise ValueError(f"{field}: there is no requirements file {value!r}")
            value = [line for line in map(str.strip, path.read_text().splitlines()) if line and line[0] != "#"]
        if isinstance(value, list):
            value = {"packages": value}
        if not isinstance(value, Mapping):
            raise TypeError(f"{field} must be a list, a path or a dict, got {type(value).__name__}")
        packages = value.get("packages")
        if packages is None:
            raise ValueError(f'{field}: the dict needs the key "packages"')
        if not isinstance(packages, list) or not all(isinstance(package, str) for package in packages):
            raise TypeError(f"{field}: packages must be a list of strings, got {packages!r}")
        return {f"{field}_check": False, **value, "packages": list(dict.fromkeys(packages))}

    return check


def _conda(value: Any) -> Any:
    if not isinstance(value, str | Mapping):
        raise TypeError(f"conda must be a name, a path or a dict, got {type(value).__name__}")
    if isinstance(value, str) and Path(value).suffix in (".yaml", ".yml") and not Path(value).is_file():
        raise ValueError(f"conda: there is no file {value!r}")
    return value


def _mapping(field: str) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError(f"{field} must be a dict, got {type(value).__name__}")
        return dict(value)

    return check


def _string(field: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"{field} must be a string, got {type(value).__name__}")
        return value

    return check


def _setup_hook(value: Any) -> Any:
    if not (callable(value) or isinstance(value, str)):
        raise TypeError(f'worker_process_setup_hook must be a callable or "module.function", got {value!r}')
    if isinstance(value, str) and "." not in value:
        raise ValueError(f'worker_process_setup_hook: {value!r} is not of the form "module.function"')
    return value


def parse_config(value: Any) -> dict[str, Any]:
    """Check the field `config` and fill in its defaults.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a key is unknown, or the timeout is neither positive nor -1.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"config must be a dict or a RuntimeEnvConfig, got {type(value).__name__}")
    config = {"setup_timeout_seconds": 600, "eager_install": True, "log_files": [], **value}
    unknown = config.keys() - {"setup_timeout_seconds", "eager_install", "log_files"}
    if unknown:
        raise ValueError(f"config: unknown keys {sorted(unknown)}")
    timeout = config["setup_timeout_seconds"]
    if not isinstance(timeout, int) or isinstance(timeout, bool):
        raise TypeError(f"setup_timeout_seconds must be an int, got {type(timeout).__name__}")
    if timeout <= 0 and timeout != -1:
        raise ValueError(f"setup_timeout_seconds must be positive, or -1 for no limit, got {timeout}")
    if not isinstance(config["eager_install"], bool):
        raise TypeError(f"eager_install must be a bool, got {type(config['eager_install']).__name__}")
    config["log_files"] = _strings("log_files")(config["log_files"] or []) or []
    return config


FIELD_CHECKS: dict[str, Callable[[Any], Any]] = {
    "working_dir": _working_dir,
    "excludes": _strings("excludes"),
    "py_modules": _py_modules,
    "py_executable": _string("py_executable"),
    "pip": _packages("pip"),
    "uv": _packages("uv"),
    "conda": _conda,
    "env_vars": _env_vars,
    "container": _mapping("container"),
    "image_uri": _string("image_uri"),
    "worker_process_setup_hook": _setup_hook,
    "config": parse_config,
}
"""For each field a function that returns the value to keep (None drops the field) or raises TypeError or ValueError."""


def check_combination(env: Mapping[str, Any]) -> None:
    """Check that fields which exclude each other are not given together.

    Raises:
        ValueError: two of pip, uv and conda are given, or an image with anything but `config` and `env_vars`.
    """
    installers = [field for field in ("pip", "uv", "conda") if field in env]
    if len(installers) > 1:
        raise ValueError(f"runtime_env: {' and '.join(installers)} cannot be given together")
    for image in ("container", "image_uri"):
        others = env.keys() - {image, "config", "env_vars"}
        if image in env and others:
            raise ValueError(f"runtime_env: {image} goes with config and env_vars only, not with {sorted(others)}")


def check_fields(env: Any) -> None:
    """Check that an environment is a mapping of known fields, its variables and its configuration; not its paths.

    Raises:
        TypeError: it is no mapping, a variable is no text, or the configuration has a value of the wrong type.
        ValueError: a field has a name that is not known, or the configuration a value that is not allowed.
    """
    if not isinstance(env, Mapping):
        raise TypeError(f"runtime_env must be a dict or a RuntimeEnv, got {type(env).__name__}")
    unknown = [field for field in env if field not in FIELD_CHECKS]
    if unknown:
        raise ValueError(f"runtime_env: unknown fields {unknown}; there are {list(FIELD_CHECKS)}")
    if env.get("env_vars") is not None:
        _env_vars(env["env_vars"])
    if env.get("config") is not None:
        parse_config(env["config"])


def local_path(value: str) -> str | None:
    """Return the absolute path that a working directory or a module names on this machine; None for other addresses."""
    if value.startswith("file://"):
        return value.removeprefix("file://")
    return None if is_uri(value) else os.path.abspath(os.path.expanduser(value))
