"""Loggers: callbacks that write what trials report."""

from ray_async.tune.json_values import pretty_print
from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.logger.tensorboardx import TBXLoggerCallback
from ray_async.tune.logger.trial_files import CSVLoggerCallback, JsonLoggerCallback

__all__ = ("CSVLoggerCallback", "JsonLoggerCallback", "LoggerCallback", "TBXLoggerCallback", "pretty_print")
