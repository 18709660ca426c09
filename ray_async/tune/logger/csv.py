"""Names that programs of Ray import from here: the logger of progress.csv."""

from ray_async.tune.logger.trial_files import CSVLoggerCallback

__all__ = ("CSVLoggerCallback",)
