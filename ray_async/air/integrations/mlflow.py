"""Names that programs of Ray import from here: the logger of mlflow."""

from ray_async.tune.logger.mlflow import MLflowLoggerCallback, setup_mlflow

__all__ = (
    "MLflowLoggerCallback",
    "setup_mlflow",
)
