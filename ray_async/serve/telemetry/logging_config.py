"""The logging configuration of Serve: of all, of an application, or of a deployment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_async.serve.config_value import ConfigValue

__all__ = ("ServeLoggingConfig",)

_ENCODINGS = ("TEXT", "JSON")


@dataclass(frozen=True)
class ServeLoggingConfig(ConfigValue):
    """How replicas log; programs know it as ``serve.schema.LoggingConfig``.

    Args:
        encoding: "TEXT" or "JSON".
        log_level: The least level that is written: a name, or a number of `logging`. Access lines are "INFO".
        logs_dir: The folder of the files; None: ``logs/serve`` in the session's folder.
        enable_access_log: Whether there is a line for each request.
        additional_log_standard_attrs: Names of ``logging.LogRecord`` attributes that are added to each line.

    Raises:
        ValueError: An unknown encoding, level or attribute.

    Example:
        >>> @serve.deployment(logging_config={"encoding": "JSON", "enable_access_log": False})
        ... class Model: ...
    """

    encoding: str = "TEXT"
    log_level: str | int = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[str] = field(default_factory=list, hash=False)

    def __post_init__(self) -> None:
        if self.encoding not in _ENCODINGS:
            raise ValueError(f"encoding must be one of {list(_ENCODINGS)}, but is {self.encoding!r}")
        if not isinstance(self.enable_access_log, bool):
            raise ValueError(f"enable_access_log must be True or False, but is {self.enable_access_log!r}")
        if self.logs_dir is not None and not isinstance(self.logs_dir, str):
            raise ValueError(f"logs_dir must be a string, but is {self.logs_dir!r}")
        object.__setattr__(self, "log_level", _level_name(self.log_level))
        given: Any = self.additional_log_standard_attrs
        if not isinstance(given, list | tuple):
            raise ValueError(f"additional_log_standard_attrs must be a list of names, but is {given!r}")
        attributes = list(dict.fromkeys(given))  # each once
        known = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
        unknown = sorted(set(attributes) - known)
        if unknown:
            raise ValueError(f"additional_log_standard_attrs: unknown are {unknown}; known are {sorted(known)}")
        object.__setattr__(self, "additional_log_standard_attrs", attributes)

    @property
    def level(self) -> int:
        """The level as a number."""
        return logging.getLevelNamesMapping()[str(self.log_level)]

    @property
    def writes_access(self) -> bool:
        """Whether access lines are written."""
        return self.enable_access_log and self.level <= logging.INFO

    @classmethod
    def of(cls, value: ServeLoggingConfig | Mapping[str, Any] | None) -> ServeLoggingConfig | None:
        """The configuration that an option names.

        Raises:
            TypeError: Something else than a mapping or a configuration.
            ValueError: An unknown key, or a value that is not allowed.
        """
        return None if value is None else cls._made_of(value, "logging_config")


def _level_name(level: str | int) -> str:
    names = logging.getLevelNamesMapping()
    if isinstance(level, int) and not isinstance(level, bool):
        name = logging.getLevelName(level)
        if name in names:
            return str(name)
    elif isinstance(level, str) and level.upper() in names:
        return level.upper()
    raise ValueError(f"log_level must be a name such as 'INFO', or a number of such a level, but is {level!r}")
