"""Population based training on the example of its paper (Jaderberg et al., 2017, section 3 and figure 2).

Two parameters climb ``1.2 - t0² - t1²``, but see only ``1.2 - h0 t0² - h1 t1²``: no constant h reaches 1.2 from all
starts, and h is what PBT changes. The reference is the paper's algorithm in thirty lines of plain Python.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ray_async import tune
from ray_async.tune.schedulers import PopulationBasedTraining
from ray_async.tune.search import BasicVariantGenerator

__all__ = ("CONTENDERS", "STEPS", "TOP")

STEPS, INTERVAL, POPULATION, TOP = 120, 5, 4, 1.2
RATE, NOISE = 0.02, 0.02


def _step(theta: list[float], h: list[float], random: Any) -> list[float]:
    return [
        t - RATE * 2 * weight * t + NOISE * RATE * random.standard_normal() for t, weight in zip(theta, h, strict=True)
    ]


def _value(theta: list[float]) -> float:
    return TOP - theta[0] ** 2 - theta[1] ** 2


def _starts(seed: int) -> list[list[float]]:
    """A population's first h: each sees mostly one of the parameters, as in the paper."""
    random = np.random.default_rng(seed)
    return [
        [1.0, 0.1 * random.random()] if number % 2 else [0.1 * random.random(), 1.0] for number in range(POPULATION)
    ]


def _train(config: dict[str, Any]) -> None:
    theta, first = [0.9, 0.9], 0
    if (checkpoint := tune.get_checkpoint()) is not None:
        saved = json.loads(Path(checkpoint.path, "theta").read_text())
        theta, first = saved["theta"], saved["step"]
    for step in range(first + 1, STEPS + 1):
        theta = _step(theta, [config["h0"], config["h1"]], np.random.default_rng([config["seed"], step]))
        if step % INTERVAL:
            tune.report({"q": _value(theta)})
            continue
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "theta").write_text(json.dumps({"theta": theta, "step": step}))
            tune.report({"q": _value(theta)}, checkpoint=tune.Checkpoint(folder))


def _ours(seed: int, storage: str, scheduler: PopulationBasedTraining | None) -> list[float]:
    starts = _starts(seed)

    class Listener(tune.Callback):
        def __init__(self) -> None:
            self.best = [float("-inf")] * STEPS

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            at = result["training_iteration"] - 1
            if at < STEPS:
                self.best[at] = max(self.best[at], result["q"])

    listener = Listener()
    points = [{"h0": start[0], "h1": start[1], "seed": seed} for start in starts]
    tune.Tuner(
        _train,
        param_space={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1), "seed": seed},
        tune_config=tune.TuneConfig(
            metric="q",
            mode="max",
            num_samples=POPULATION,
            scheduler=scheduler,
            search_alg=BasicVariantGenerator(points_to_evaluate=points, random_state=seed),
        ),
        run_config=tune.RunConfig(
            storage_path=storage, verbose=0, callbacks=[listener], stop={"training_iteration": STEPS}
        ),
    ).fit()
    return _rising(listener.best)


def _rising(values: list[float]) -> list[float]:
    best: list[float] = np.maximum.accumulate(values).tolist()
    return best


def _pbt(seed: int, storage: str) -> list[float]:
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=INTERVAL,
        hyperparam_mutations={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
        quantile_fraction=1 / POPULATION,
        synch=True,
        log_config=False,
    )
    return _ours(seed, storage, scheduler)


def _constant(seed: int, storage: str) -> list[float]:
    return _ours(seed, storage, None)


def _paper(seed: int, storage: str) -> list[float]:
    """The paper's algorithm: truncation selection, perturbation by 1.2 or 0.8, one draw in four anew."""
    random = np.random.default_rng([seed, 7])
    members = [{"theta": [0.9, 0.9], "h": start} for start in _starts(seed)]
    best = []
    for step in range(1, STEPS + 1):
        for member in members:
            member["theta"] = _step(member["theta"], member["h"], np.random.default_rng([seed, step]))
        best.append(max(_value(member["theta"]) for member in members))
        if step % INTERVAL == 0:
            members.sort(key=lambda member: _value(member["theta"]))
            weak, strong = members[0], members[-1]
            weak["theta"] = list(strong["theta"])
            weak["h"] = [
                random.random() if random.random() < 0.25 else part * random.choice([1.2, 0.8]) for part in strong["h"]
            ]
    return _rising(best)


#: What runs a population of a seed: ours first, then the reference.
CONTENDERS: dict[str, Callable[[int, str], list[float]]] = {
    "PopulationBasedTraining": _pbt,
    "the paper's algorithm": _paper,
    "constant h": _constant,
}
