"""Stopping early: searches over the same configs, with our schedulers and with Optuna's pruners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import optuna

from bench.tune.quality.problems import Problem
from ray_async import tune
from ray_async.tune.schedulers import ASHAScheduler, HyperBandScheduler, MedianStoppingRule, TrialScheduler

__all__ = ("CONTENDERS", "Spent")

REDUCTION = 3
# Metrics in the order in which they were reported: the budget is counted in these.
Spent = list[float]


def _ours(make: Callable[[Problem], TrialScheduler | None]) -> Callable[..., Spent]:
    def run(problem: Problem, seed: int, trials: int, storage: str) -> Spent:
        points = problem.points(seed, trials).tolist()

        def train(config: dict[str, Any]) -> Iterator[dict[str, float]]:
            values = problem.learn(points[config["index"]], seed)
            for _, value in zip(range(problem.max_t), values, strict=False):
                yield {"loss": value}

        heard: Spent = []

        class Listener(tune.Callback):
            def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
                heard.append(result["loss"])

        tune.Tuner(
            train,
            param_space={"index": tune.grid_search(list(range(trials)))},
            # One after the other, as in the reference.
            tune_config=tune.TuneConfig(metric="loss", mode="min", scheduler=make(problem), max_concurrent_trials=1),
            run_config=tune.RunConfig(storage_path=storage, verbose=0, callbacks=[Listener()]),
        ).fit()
        return heard

    return run


def _optuna(make: Callable[[Problem], optuna.pruners.BasePruner]) -> Callable[..., Spent]:
    def run(problem: Problem, seed: int, trials: int, storage: str) -> Spent:
        points, heard = problem.points(seed, trials).tolist(), Spent()

        def objective(trial: optuna.Trial) -> float:
            value = float("inf")
            values = problem.learn(points[trial.number], seed)
            for iteration, found in zip(range(1, problem.max_t + 1), values, strict=False):
                value = found
                heard.append(value)
                trial.report(value, iteration)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(pruner=make(problem), sampler=optuna.samplers.RandomSampler(seed=seed))
        study.optimize(objective, n_trials=trials)
        return heard

    return run


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
            lambda problem: HyperBandScheduler(max_t=problem.max_t, reduction_factor=REDUCTION)
        ),
        "Optuna's HyperbandPruner": _optuna(
            lambda problem: optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=problem.max_t, reduction_factor=REDUCTION
            )
        ),
    },
    "median": {
        "MedianStoppingRule": _ours(
            lambda problem: MedianStoppingRule(time_attr="training_iteration", grace_period=1, min_samples_required=5)
        ),
        "Optuna's MedianPruner": _optuna(lambda problem: optuna.pruners.MedianPruner(n_startup_trials=5)),
    },
}
