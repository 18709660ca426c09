"""A job's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.ignored_option import note_ignored

__all__ = ("JobConfig",)

_LIFETIMES = ("detached", "non_detached")
_JSON_KEYS = frozenset(
    {"jvm_options", "code_search_path", "runtime_env", "metadata", "ray_namespace", "default_actor_lifetime"}
)


class JobConfig:
    """Settings of a job, given to ``init``.

    Args:
        jvm_options: Noted, and without effect.
        code_search_path: Directories added to the workers' import path.
        runtime_env: The environment of the job's tasks and actors.
        metadata: Texts kept in this object.
        ray_namespace: Namespace of named actors; None is one of the session's own.
        default_actor_lifetime: "detached" or "non_detached", for actors that do not say.

    Raises:
        ValueError: Another lifetime, or an empty namespace.
        TypeError: A namespace that is not a string.

    Example:
        >>> ray.init(job_config=JobConfig(ray_namespace="prod"))
    """

    def __init__(
        self,
        jvm_options: list[str] | None = None,
        code_search_path: list[str] | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        _client_job: bool = False,
        metadata: Mapping[str, str] | None = None,
        ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached",
        _disable_job_level_lineage_reconstruction: bool = False,
        _py_driver_sys_path: list[str] | None = None,
    ) -> None:
        self.jvm_options = list(jvm_options or ())
        self.code_search_path = list(code_search_path or ())
        self.metadata: dict[str, str] = dict(metadata or {})
        self._client_job = _client_job
        self._disable_job_level_lineage_reconstruction = _disable_job_level_lineage_reconstruction
        if jvm_options:
            note_ignored("JobConfig(jvm_options=...)", "workers are Python's")
        if _disable_job_level_lineage_reconstruction:
            setting = "set _system_config={'lineage_pinning_enabled': False} for the whole session"
            note_ignored("JobConfig(_disable_job_level_lineage_reconstruction=True)", setting)
        self._py_driver_sys_path = list(_py_driver_sys_path or ())
        self.set_runtime_env(runtime_env)
        self.set_ray_namespace(ray_namespace)
        self.set_default_actor_lifetime(default_actor_lifetime)

    def set_metadata(self, key: str, value: str) -> None:
        """Set one text kept with the job."""
        self.metadata[key] = value

    def set_runtime_env(self, runtime_env: Mapping[str, Any] | None, validate: bool = False) -> None:
        """Set the environment of the job's tasks and actors; with ``validate`` errors of it are raised here."""
        if validate and runtime_env:
            from ray_async.runtime_env.validation import check_fields

            check_fields(dict(runtime_env))
        self.runtime_env: dict[str, Any] = dict(runtime_env or {})

    def set_ray_namespace(self, ray_namespace: str | None) -> None:
        """Set the namespace of named actors.

        Raises:
            ValueError: It is empty.
            TypeError: It is not a string.
        """
        self.ray_namespace = check_namespace(ray_namespace)

    def set_default_actor_lifetime(self, default_actor_lifetime: str) -> None:
        """Set the lifetime of actors that do not say.

        Raises:
            ValueError: It is neither "detached" nor "non_detached".
        """
        if default_actor_lifetime not in _LIFETIMES:
            raise ValueError(f"default_actor_lifetime must be one of {_LIFETIMES}, not {default_actor_lifetime!r}.")
        self.default_actor_lifetime = default_actor_lifetime

    @classmethod
    def from_json(cls, job_config_json: Mapping[str, Any]) -> JobConfig:
        """Make one from a mapping with the names of the arguments."""
        return cls(**{key: value for key, value in job_config_json.items() if key in _JSON_KEYS})


def check_namespace(namespace: str | None) -> str | None:
    """Check the name of a namespace and return it.

    Raises:
        ValueError: It is empty.
        TypeError: It is neither None nor a string.
    """
    if namespace is not None and not isinstance(namespace, str):
        raise TypeError(f"namespace must be None or a string, but is {type(namespace)}.")
    if namespace == "":
        raise ValueError('"" is not a valid namespace. Pass None to use an anonymous namespace.')
    return namespace
