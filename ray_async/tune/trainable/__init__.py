"""Trainables: what trials run, and the classes and wrappers for it."""

from ray_async.tune.trainable.trainable import Trainable
from ray_async.tune.trainable.wrapping import with_parameters

__all__ = ("Trainable", "with_parameters")
