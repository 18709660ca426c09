"""Loggers of drivers and workers, set up as `init` was told."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

from ray_async.runtime.init_options import InitOptions

__all__ = ("apply_log_setup", "log_setup")

_DEFAULT_FORMAT = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"
_JSON_FIELDS = ("levelname", "filename", "lineno")


def log_setup(options: InitOptions) -> dict[str, Any]:
    """What a driver and its workers must know to set up their loggers, ready for JSON.

    Raises:
        ValueError: the level has no name that is known.
        TypeError: the level or the format is of the wrong type.
    """
    setup: dict[str, Any] = {}
    if options.configure_logging:
        setup["level"] = _level(options.logging_level)
        if options.logging_format is not None:
            if not isinstance(options.logging_format, str):
                raise TypeError(f"logging_format must be a string, but is {options.logging_format!r}")
            logging.Formatter(options.logging_format)  # raises ValueError for what is no format
            setup["format"] = options.logging_format
    config = options.logging_config
    if config is not None:
        setup["root"] = {
            "encoding": config.encoding,
            "level": _level(config.log_level),
            "attributes": config.additional_log_standard_attrs,
        }
    return setup


def _level(given: int | str) -> int:
    if isinstance(given, int):
        return given
    if not isinstance(given, str):
        raise TypeError(f"logging_level must be a name or a number, but is {given!r}")
    found = logging.getLevelNamesMapping().get(given.upper())
    if found is None:
        raise ValueError(f"logging_level: there is no level {given!r}; use a name such as 'info'")
    return found


def apply_log_setup(setup: Mapping[str, Any], **marks: str) -> None:
    """Set up this process's loggers; what an earlier session of the process has set up is replaced.

    Args:
        setup: of `log_setup`.
        marks: facts that a `LoggingConfig` adds to each record, such as the worker's id.
    """
    package = logging.getLogger("ray_async")
    _remove_own(package)
    _remove_own(logging.root)
    package.propagate = True
    if "level" in setup:
        package.setLevel(setup["level"])
    if "format" in setup:
        package.addHandler(_OwnHandler(logging.Formatter(setup["format"])))
        package.propagate = False  # else the program's own handlers would write the same records again
    if "root" in setup:
        config = setup["root"]
        kind = _JsonFormatter if config["encoding"] == "JSON" else _TextFormatter
        logging.root.addHandler(_OwnHandler(kind(config["attributes"], marks)))
        logging.root.setLevel(config["level"])
        package.setLevel(config["level"])


def _remove_own(logger: logging.Logger) -> None:
    for handler in list(logger.handlers):
        if isinstance(handler, _OwnHandler):
            logger.removeHandler(handler)


class _OwnHandler(logging.StreamHandler[Any]):
    """Writes to the standard error that there is at the time: workers and tests replace it."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, stream: Any) -> None:
        raise AttributeError("it is always the standard error")


class _TextFormatter(logging.Formatter):
    """A line of text, and after it the marks and the attributes asked for."""

    def __init__(self, attributes: list[str], marks: Mapping[str, str]) -> None:
        super().__init__(_DEFAULT_FORMAT)
        self._attributes, self._marks = attributes, dict(marks)

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = {**self._marks, **{name: getattr(record, name, None) for name in self._attributes}}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in facts.items())])


class _JsonFormatter(logging.Formatter):
    """An object of JSON on a line: the message, where it comes from, the marks, and the attributes asked for."""

    def __init__(self, attributes: list[str], marks: Mapping[str, str]) -> None:
        super().__init__()
        self._attributes, self._marks = attributes, dict(marks)

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {"asctime": self.formatTime(record), "message": record.getMessage()}
        facts.update((name, getattr(record, name)) for name in _JSON_FIELDS)
        facts.update(self._marks)
        facts.update((name, getattr(record, name, None)) for name in self._attributes)
        if record.exc_info:
            facts["exc_text"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str)
