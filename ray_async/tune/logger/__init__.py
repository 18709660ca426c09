"""Loggers: callbacks that write down what trials report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
    from ray_async.tune.json_values import pretty_print
    from ray_async.tune.logger.logger_callback import LoggerCallback
    from ray_async.tune.logger.tensorboardx import TBXLoggerCallback
    from ray_async.tune.logger.trial_files import CSVLoggerCallback, JsonLoggerCallback

__all__ = ("CSVLoggerCallback", "JsonLoggerCallback", "LoggerCallback", "TBXLoggerCallback", "pretty_print")

# Homes of the names: each is imported at its first use, since TensorBoard's files need NumPy.
_MODULES = {
    "CSVLoggerCallback": "ray_async.tune.logger.trial_files",
    "JsonLoggerCallback": "ray_async.tune.logger.trial_files",
    "LoggerCallback": "ray_async.tune.logger.logger_callback",
    "TBXLoggerCallback": "ray_async.tune.logger.tensorboardx",
    "pretty_print": "ray_async.tune.json_values",
}


def __getattr__(name: str) -> object:
    return exported(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
