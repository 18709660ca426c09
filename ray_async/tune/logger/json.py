"""Names that programs of Ray import from here: the logger of result.json."""

from ray_async.tune.logger.trial_files import JsonLoggerCallback

__all__ = ("JsonLoggerCallback",)
