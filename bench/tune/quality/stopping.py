"""Stopping early: searches over the same configs, with our schedulers and with Optuna's pruners."""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from bench.tune.quality.problems import Problem
from ray_async import tune
from ray_async.tune.schedulers import ASHAScheduler, HyperBandScheduler, MedianStoppingRule, TrialScheduler

__all__ = ("CONTENDERS", "Spent")

REDUCTION = 3
# Trials that the median rule wants before it ends any.
SAMPLES = 5
MILESTONES = frozenset(REDUCTION**power for power in range(6))
# Metrics in the order in which they were reported: the budget is counted in these.
Spent = list[float]


class Budget(tune.Stopper):
    """Ends a search when so much was reported.

    Args:
        reports: How much.
    """

    def __init__(self, reports: int) -> None:
        self._left = reports

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._left -= 1
        return self._left <= 0

    def stop_all(self) -> bool:
        return self._left <= 0


def _train(config: dict[str, Any], problem: Problem, points: list[Any], seed: int, pauses: bool) -> None:
    first = 0
    if (checkpoint := tune.get_checkpoint()) is not None:
        first = int(Path(checkpoint.path, "iteration").read_text())
    values = problem.learn(points[config["index"]], seed)
    for iteration, value in zip(range(1, problem.max_t + 1), values, strict=False):
        # A trial goes on where it was paused; its curve is a function of its config and of the seed.
        if iteration <= first:
            continue
        if not (pauses and iteration in MILESTONES):
            tune.report({"loss": value})
            continue
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "iteration").write_text(str(iteration))
            tune.report({"loss": value}, checkpoint=tune.Checkpoint(folder))


def _ours(make: Callable[[Problem], TrialScheduler | None], pauses: bool = False) -> Callable[..., Spent]:
    def run(problem: Problem, seed: int, trials: int, budget: int, storage: str) -> Spent:
        points = problem.points(seed, trials).tolist()
        heard: Spent = []

        class Listener(tune.Callback):
            def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
                heard.append(result["loss"])

        tune.Tuner(
            functools.partial(_train, problem=problem, points=points, seed=seed, pauses=pauses),
            param_space={"index": tune.grid_search(list(range(trials)))},
            # One after the other, as in the reference.
            tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=make(problem), max_concurrent_trials=1),
            run_config=tune.RunConfig(storage_path=storage, verbose=0, callbacks=[Listener()], stop=Budget(budget)),
        ).fit()
        return heard

    return run


def _optuna(make: Callable[[Problem], optuna.pruners.BasePruner]) -> Callable[..., Spent]:
    def run(problem: Problem, seed: int, trials: int, budget: int, storage: str) -> Spent:
        points, heard = problem.points(seed, trials).tolist(), Spent()

        def objective(trial: optuna.Trial) -> float:
            value = float("inf")
            values = problem.learn(points[trial.number], seed)
            for iteration, found in zip(range(1, problem.max_t + 1), values, strict=False):
                value = found
                heard.append(value)
                trial.report(value, iteration)
                if len(heard) >= budget:
                    trial.study.stop()
                    break
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(pruner=make(problem), sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(objective, n_trials=trials)
        return heard

    return run


def _median_rule(problem: Problem, seed: int, trials: int, budget: int, storage: str) -> Spent:
    """The median rule as it was published (Golovin et al., "Google Vizier", 2017, section 3.2.2)."""
    curves: list[list[float]] = []
    heard: Spent = []
    for point in problem.points(seed, trials).tolist():
        curve: list[float] = []
        for _, value in zip(range(problem.max_t), problem.learn(point, seed), strict=False):
            curve.append(value)
            heard.append(value)
            if len(heard) >= budget:
                return heard
            averages = [statistics.fmean(other[: len(curve)]) for other in curves]
            if len(averages) >= SAMPLES and min(curve) > statistics.median(averages):
                break
        curves.append(curve)
    return heard


#: By family, what runs a search of a seed: ours first, then the reference.
CONTENDERS: dict[str, dict[str, Callable[..., Spent]]] = {
    "none": {"every trial to its end": _ours(lambda problem: None)},
    "ASHA": {
        "ASHAScheduler": _ours(
            lambda problem: ASHAScheduler(max_t=problem.max_t, grace_period=1, reduction_factor=REDUCTION)
        ),
        "Optuna's SuccessiveHalvingPruner": _optuna(
            lambda problem: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
        ),
    },
    "HyperBand": {
        "HyperBandScheduler": _ours(
            lambda problem: HyperBandScheduler(max_t=problem.max_t, reduction_factor=REDUCTION), pauses=True
        ),
        "Optuna's HyperbandPruner": _optuna(
            lambda problem: optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=problem.max_t, reduction_factor=REDUCTION
            )
        ),
    },
    "median": {
        "MedianStoppingRule": _ours(
            lambda problem: MedianStoppingRule(
                time_attr="training_iteration", grace_period=1, min_samples_required=SAMPLES
            )
        ),
        "the published rule": _median_rule,
        "Optuna's MedianPruner": _optuna(lambda problem: optuna.pruners.MedianPruner(n_startup_trials=SAMPLES)),
    },
}
