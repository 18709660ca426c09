"""Names that programs of Ray import from here: the logger of wandb."""

from ray_async.tune.logger.wandb import WandbLoggerCallback, setup_wandb

__all__ = (
    "WandbLoggerCallback",
    "setup_wandb",
)
