"""Names that programs of Ray import from here: the logger of comet."""

from ray_async.tune.logger.comet import CometLoggerCallback

__all__ = ("CometLoggerCallback",)
