"""Tune: searches for the best config of a function or class.

`Tuner` and `run` sample a search space, run trials on warm workers and give back what these report. Decisions are those
of pure objects, searchers and schedulers, in a pure state (`execution/state.py`); an asyncio loop around it hands
trials to runners, and writes all that happens to a journal, from which a search goes on after any death.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
    from ray_async.air.checkpoint import Checkpoint
    from ray_async.air.config import CheckpointConfig, FailureConfig, RunConfig, SyncConfig
    from ray_async.air.result import Result
    from ray_async.air.session import get_checkpoint, report
    from ray_async.tune.callback import Callback
    from ray_async.tune.context import TuneContext, get_context
    from ray_async.tune.error import TuneError
    from ray_async.tune.experiment.experiment import Experiment
    from ray_async.tune.placement_groups import PlacementGroupFactory
    from ray_async.tune.progress_reporter import CLIReporter, JupyterNotebookReporter, ProgressReporter
    from ray_async.tune.results.experiment_analysis import ExperimentAnalysis
    from ray_async.tune.results.result_grid import ResultGrid
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
    from ray_async.tune.tune import run, run_experiments
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

# A session that begins with Tune loaded will soon run trials: its workers are forked with what these need.
__warm_in_workers__ = ("ray_async.tune.execution.runner",)

# Homes of the names: each is imported at its first use, so that a worker that runs a trial loads no searcher.
_HOMES = {
    "air.checkpoint": ("Checkpoint",),
    "air.config": ("CheckpointConfig", "FailureConfig", "RunConfig", "SyncConfig"),
    "air.result": ("Result",),
    "air.session": ("get_checkpoint", "report"),
    "tune.callback": ("Callback",),
    "tune.context": ("TuneContext", "get_context"),
    "tune.error": ("TuneError",),
    "tune.experiment.experiment": ("Experiment",),
    "tune.placement_groups": ("PlacementGroupFactory",),
    "tune.progress_reporter": ("CLIReporter", "JupyterNotebookReporter", "ProgressReporter"),
    "tune.results.experiment_analysis": ("ExperimentAnalysis",),
    "tune.results.result_grid": ("ResultGrid",),
    "tune.tune": ("run", "run_experiments"),
    "tune.schedulers.creation": ("create_scheduler",),
    "tune.search.creation": ("create_searcher",),
    "tune.search.sample": (
        "choice",
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
        "sample_from",
        "uniform",
    ),
    "tune.stopper.stopper": ("Stopper",),
    "tune.trainable.registry": ("register_env", "register_trainable"),
    "tune.trainable.trainable": ("Trainable",),
    "tune.trainable.wrapping": ("with_parameters", "with_resources"),
    "tune.tune_config": ("ResumeConfig", "TuneConfig"),
    "tune.tuner": ("Tuner",),
}
_MODULES = {name: f"ray_async.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    return exported(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
