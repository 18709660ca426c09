"""Names that programs of Ray import from here: the trials of a search."""

from ray_async.tune.results.experiment_analysis import ExperimentAnalysis

__all__ = ("ExperimentAnalysis",)
