"""Loggers: callbacks that write what trials report."""

from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.logger.trial_files import CSVLoggerCallback, JsonLoggerCallback

__all__ = ("CSVLoggerCallback", "JsonLoggerCallback", "LoggerCallback")
