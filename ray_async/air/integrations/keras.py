"""Names that programs of Ray import from here: the callback of Keras."""

from ray_async.tune.integration.keras import ReportCheckpointCallback

__all__ = ("ReportCheckpointCallback",)
