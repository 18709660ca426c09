"""Trainables: what trials run, and the classes and wrappers for it."""

from ray_async.tune.trainable.trainable import Trainable

__all__ = ("Trainable",)
