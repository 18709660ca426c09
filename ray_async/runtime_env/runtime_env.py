"""The description of a runtime environment, and how a child's is made from its parent's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ray_async.runtime_env.validation import FIELD_CHECKS, check_combination, parse_config

__all__ = ("RuntimeEnv", "RuntimeEnvConfig", "merge_runtime_env")


class RuntimeEnvConfig(dict[str, Any]):
    """How an environment is set up.

    Args:
        setup_timeout_seconds: how long the set-up may take, in seconds; -1 means no limit.
        eager_install: whether it is set up before the first task needs it.
        log_files: files whose lines are shown with those of workers.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: the timeout is neither positive nor -1.
    """

    def __init__(
        self,
        setup_timeout_seconds: int = 600,
        eager_install: bool = True,
        log_files: list[str] | None = None,
    ) -> None:
        super().__init__(
            parse_config(
                {
                    "setup_timeout_seconds": setup_timeout_seconds,
                    "eager_install": eager_install,
                    "log_files": log_files or [],
                }
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict with the same items."""
        return dict(self)


class RuntimeEnv(dict[str, Any]):
    """The environment that workers run in: a dict whose items are checked.

    Fields that are None or empty are left out. Fields of other names are kept, and refused by `init` and by options.

    Args:
        env_vars: environment variables; `${NAME}` stands for the value that the worker has.
        working_dir: a directory or archive whose copy is the workers' working directory and on their `sys.path`.
        excludes: patterns as in .gitignore: what not to copy.
        py_modules: modules (objects, paths of packages or files) that workers can import.
        worker_process_setup_hook: a function without arguments, or its name, called in each new worker.
        config: a `RuntimeEnvConfig` or its dict.
        fields: the remaining fields: `pip`, `uv`, `conda`, `container`, `image_uri`, `py_executable`.

    Raises:
        TypeError: a field has the wrong type.
        ValueError: a field has an impossible value, or two fields contradict each other.

    Example:
        >>> f.options(runtime_env=RuntimeEnv(env_vars={"LEVEL": "debug"})).remote()
    """

    def __init__(
        self,
        *,
        env_vars: Mapping[str, str] | None = None,
        working_dir: str | None = None,
        excludes: list[str] | None = None,
        py_modules: list[Any] | None = None,
        worker_process_setup_hook: Any = None,
        config: Mapping[str, Any] | None = None,
        _validate: bool = True,
        **fields: Any,
    ) -> None:
        super().__init__()
        given = {
            "env_vars": env_vars,
            "working_dir": working_dir,
            "excludes": excludes,
            "py_modules": py_modules,
            "worker_process_setup_hook": worker_process_setup_hook,
            "config": config,
            **fields,
        }
        for field, value in given.items():
            if value is None:
                continue
            if _validate:
                self[field] = value
            else:
                super().__setitem__(field, value)
        if _validate:
            check_combination(self)

    def __setitem__(self, field: str, value: Any) -> None:
        check = FIELD_CHECKS.get(field)
        kept = check(value) if check is not None and value is not None else value
        if kept is None:
            self.pop(field, None)
        else:
            super().__setitem__(field, kept)

    def set(self, field: str, value: Any) -> None:
        """Set a field, or remove it with None.

        Raises:
            TypeError: the value has the wrong type.
            ValueError: the value is impossible for this field.
        """
        self[field] = value

    def to_dict(self) -> dict[str, Any]:
        """Return a plain dict with the same items."""
        return {key: dict(value) if isinstance(value, dict) else value for key, value in self.items()}

    def serialize(self) -> str:
        """Return the environment as JSON; equal environments give equal text.

        Raises:
            TypeError: a field holds something that JSON cannot, such as a callable hook that is not packaged yet.
        """
        return json.dumps(self, sort_keys=True)

    @classmethod
    def deserialize(cls, serialized: str) -> RuntimeEnv:
        """Make an environment of what `serialize` returned; paths are not checked again."""
        return cls(_validate=False, **json.loads(serialized))

    def env_vars(self) -> dict[str, str]:
        """Return the environment variables."""
        return dict(self.get("env_vars", {}))

    def working_dir(self) -> str:
        """Return the path or address of the working directory; an empty string if there is none."""
        return str(self.get("working_dir", ""))

    def py_modules(self) -> list[str]:
        """Return the paths or addresses of the modules."""
        return list(self.get("py_modules", []))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (dict(self),)


def merge_runtime_env(parent: Mapping[str, Any] | None, child: Mapping[str, Any] | None) -> RuntimeEnv:
    """Return the environment of a child: its own fields over its parent's, and environment variables one by one.

    A field that the child sets to None is not inherited.
    """
    merged = {**(parent or {}), **(child or {})}
    if child is None or child.get("env_vars", {}) is not None:
        merged["env_vars"] = {**((parent or {}).get("env_vars") or {}), **((child or {}).get("env_vars") or {})}
    return _rebuild({field: value for field, value in merged.items() if value is not None and value != {}})


def _rebuild(fields: dict[str, Any]) -> RuntimeEnv:
    return RuntimeEnv(_validate=False, **fields)
