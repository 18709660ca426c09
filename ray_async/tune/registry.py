"""Names that programs of Ray import from here: trainables and environments by name."""

from ray_async.tune.trainable.registry import register_env, register_trainable

__all__ = ("register_env", "register_trainable")
