"""Names that programs of Ray import from here: how much is printed, and which keys of a result are not."""

from ray_async.tune.verbosity import BLACKLISTED_KEYS, AirVerbosity

__all__ = ("BLACKLISTED_KEYS", "AirVerbosity")
