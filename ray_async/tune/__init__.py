"""Tune: searches for the best config of a function or class.

`Tuner` and `run` sample a search space, run trials on warm workers and give back what these report. Decisions are those
of pure objects, searchers and schedulers, in a pure state (`execution/state.py`); an asyncio loop around it hands
trials to runners, and writes all that happens to a journal, from which a search goes on after any death.
"""

from __future__ import annotations

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, SyncConfig
from ray_async.air.result import Result
from ray_async.air.session import get_checkpoint, report
from ray_async.submodules import submodule
from ray_async.tune.callback import Callback
from ray_async.tune.context import TuneContext, get_context
from ray_async.tune.error import TuneError
from ray_async.tune.experiment.experiment import Experiment
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.progress_reporter import CLIReporter, JupyterNotebookReporter, ProgressReporter
from ray_async.tune.results.experiment_analysis import ExperimentAnalysis
from ray_async.tune.results.result_grid import ResultGrid
from ray_async.tune.run import run, run_experiments
from ray_async.tune.schedulers.creation import create_scheduler
from ray_async.tune.search.creation import create_searcher
from ray_async.tune.search.sample import (
    choice,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)
from ray_async.tune.stopper.stopper import Stopper
from ray_async.tune.trainable.registry import register_env, register_trainable
from ray_async.tune.trainable.trainable import Trainable
from ray_async.tune.trainable.wrapping import with_parameters, with_resources
from ray_async.tune.tune_config import ResumeConfig, TuneConfig
from ray_async.tune.tuner import Tuner

__all__ = (
    "CLIReporter",
    "Callback",
    "Checkpoint",
    "CheckpointConfig",
    "Experiment",
    "ExperimentAnalysis",
    "FailureConfig",
    "JupyterNotebookReporter",
    "PlacementGroupFactory",
    "ProgressReporter",
    "Result",
    "ResultGrid",
    "ResumeConfig",
    "RunConfig",
    "Stopper",
    "SyncConfig",
    "Trainable",
    "TuneConfig",
    "TuneContext",
    "TuneError",
    "Tuner",
    "choice",
    "create_scheduler",
    "create_searcher",
    "get_checkpoint",
    "get_context",
    "grid_search",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "register_env",
    "register_trainable",
    "report",
    "run",
    "run_experiments",
    "sample_from",
    "uniform",
    "with_parameters",
    "with_resources",
)


def __getattr__(name: str) -> object:
    return submodule(__name__, name)
