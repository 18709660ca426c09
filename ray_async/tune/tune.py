"""Names that programs of Ray import from here: a search in one call."""

from ray_async.tune.run import run, run_experiments

__all__ = ("run", "run_experiments")
