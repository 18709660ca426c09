"""Names that programs of Ray import from here: trainables with large objects, or with resources."""

from ray_async.tune.trainable.wrapping import with_parameters, with_resources

__all__ = ("with_parameters", "with_resources")
