"""Loggers of drivers and workers, set up as `init` was asked to."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from ray_async.engine.init_options import InitOptions
from ray_async.engine.protocol import ExecutionContext

__all__ = ("Marks", "apply_log_setup", "context_marks", "log_setup")

#: Gives the facts that a `LoggingConfig` adds to a record, when the record is written.
Marks = Callable[[], Mapping[str, str]]

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


def context_marks(context: ExecutionContext) -> dict[str, str]:
    """What is running, for a record: ids, and names where there are some."""
    marks = {
        "job_id": context.job_id.hex(),
        "worker_id": context.worker_id.hex(),
        "node_id": context.node_id.hex(),
        "actor_id": context.actor_id.hex() if context.actor_id is not None else "",
        "task_id": context.task_id.hex() if context.task_id is not None else "",
        "actor_name": context.actor_name or "",
        "task_name": context.task_name or "",
        "task_func_name": context.function_name or "",
    }
    return {name: text for name, text in marks.items() if text}


def apply_log_setup(setup: Mapping[str, Any], marks: Marks = dict) -> None:
    """Set up this process's loggers; what an earlier session of the process has set up is replaced.

    Args:
        setup: of `log_setup`.
        marks: facts that a `LoggingConfig` adds to each record.
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


def _facts(record: logging.LogRecord, marks: Marks, attributes: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {**marks(), **{name: getattr(record, name, None) for name in attributes}}
    return facts | {"timestamp_ns": time.time_ns()}


class _TextFormatter(logging.Formatter):
    """A line of text, and after it the marks, the attributes asked for and the time in nanoseconds."""

    def __init__(self, attributes: list[str], marks: Marks) -> None:
        super().__init__(_DEFAULT_FORMAT)
        self._attributes, self._marks = attributes, marks

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = _facts(record, self._marks, self._attributes)
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in facts.items())])


class _JsonFormatter(logging.Formatter):
    """An object of JSON on a line: the message, where it comes from, and what lines of text have behind it."""

    def __init__(self, attributes: list[str], marks: Marks) -> None:
        super().__init__()
        self._attributes, self._marks = attributes, marks

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = {"asctime": self.formatTime(record), "message": record.getMessage()}
        facts.update((name, getattr(record, name)) for name in _JSON_FIELDS)
        facts.update(_facts(record, self._marks, self._attributes))
        if record.exc_info:
            facts["exc_text"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str)
