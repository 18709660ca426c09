"""Searches as a whole: budgets, limits, slots, metrics by any name, and `tune.run`."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async import tune
from ray_async.tune import RunConfig
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.tune.search.optuna import OptunaSearch
from tests.resources import wait_until
from tests.tune.test_tuner import fit, only

pytestmark = pytest.mark.usefixtures("session")


class Barrier:
    """Lets calls go on when so many have come."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def wait(self) -> None:
        self.barrier.wait(60)


@pytest.mark.parametrize("limit", [None, 4])
@pytest.mark.parametrize("optuna", [True, False])
def test_all_slots_are_used(optuna: bool, limit: int | None) -> None:
    barrier = ray.remote(Barrier).options(num_cpus=0, max_concurrency=16).remote(4)

    def train(config: dict[str, Any]) -> dict[str, Any]:
        ray.get(barrier.wait.remote())
        return {"loss": config["x"]}

    search = OptunaSearch(seed=1) if optuna else None
    space = {"x": tune.uniform(0, 1)}
    grid = fit(train, space, metric="loss", mode="min", num_samples=16, search_alg=search, max_concurrent_trials=limit)
    assert (grid.num_terminated, grid.num_errors) == (16, 0)


def test_a_time_budget_ends_a_search_without_end() -> None:
    def endless(config: dict[str, Any]) -> None:
        while True:
            tune.report({"x": config["x"]})
            time.sleep(0.001)

    grid = fit(endless, {"x": tune.uniform(0, 1)}, num_samples=-1, time_budget_s=6.0)
    assert len(grid) >= 4 and grid.num_errors == 0
    assert grid.num_terminated == len(grid)


def test_a_stopper_ends_the_search() -> None:
    class Enough(tune.Stopper):
        def __init__(self) -> None:
            self.seen = 0

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            self.seen += 1
            return False

        def stop_all(self) -> bool:
            return self.seen >= 5

    grid = fit(lambda config: {"a": 1}, run=RunConfig(stop=Enough()), num_samples=-1, max_concurrent_trials=1)
    assert 5 <= len(grid) <= 6 and grid.num_errors == 0


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_one_long_trial_holds_up_no_other(tmp_path: Path, seconds: float) -> None:
    count, ended = 24, tmp_path / "ended"
    ended.mkdir()

    def train(config: dict[str, Any]) -> dict[str, Any]:
        if config["i"] == 1:
            wait_until(lambda: len(list(ended.iterdir())) == count - 1, 60)
        else:
            time.sleep(seconds)
            (ended / str(config["i"])).touch()
        return {"loss": config["i"]}

    halves = tune.with_resources(train, {"cpu": 2})
    grid = fit(halves, {"i": tune.grid_search(list(range(count)))})
    assert (grid.num_terminated, grid.num_errors) == (count, 0)


def test_trials_behind_long_ones_are_not_handed_to_and_fro(tmp_path: Path) -> None:
    run = RunConfig(storage_path=str(tmp_path), name="e", verbose=0)
    journal = tmp_path / "e" / "journal.bin"

    def is_at_rest() -> bool:
        size = journal.stat().st_size
        time.sleep(0.3)
        return journal.stat().st_size == size

    def train(config: dict[str, Any]) -> dict[str, Any]:
        if config["i"] in (8, 9):
            wait_until(is_at_rest, 30)
        return {"loss": config["i"]}

    halves = tune.with_resources(train, {"cpu": 2})
    grid = fit(halves, {"i": tune.grid_search(list(range(40)))}, run)
    assert (grid.num_terminated, grid.num_errors) == (40, 0)


def test_names_with_a_slash_and_names_in_a_nest() -> None:
    def train(config: dict[str, Any]) -> None:
        for step in range(4):
            tune.report({"val/loss": config["x"] - step, "eval": {"acc": config["x"] + step}})

    space = {"x": tune.grid_search([1.0, 2.0])}
    for name in ("val/loss", "eval/acc"):
        # One after the other: of two at once ASHA stops whichever comes second to a rung.
        grid = fit(train, space, metric=name, mode="max", scheduler=ASHAScheduler(max_t=3), max_concurrent_trials=1)
        best = grid.get_best_result()
        assert best.config == {"x": 2.0} and best.metrics["training_iteration"] == 3
        assert {"val/loss", "eval"} <= set(best.metrics) and best.metrics["eval"] == {"acc": 4.0}
        assert grid.get_best_result(name, "max", scope="all").config == {"x": 2.0}
    result = only(fit(train, {"x": 1.0}, RunConfig(stop={"eval/acc": 2.0})))
    assert result.metrics["training_iteration"] == 2


def test_resources_of_several_kinds_in_one_search() -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        resources = tune.get_context().get_trial_resources().required_resources
        return {"cpus": resources["CPU"]}

    wide = tune.with_resources(train, lambda config: {"cpu": config["n"]})
    grid = fit(wide, {"n": tune.grid_search([1, 4, 2, 3])})
    assert [result.metrics["cpus"] for result in grid] == [1.0, 4.0, 2.0, 3.0]


def test_run_returns_results_and_an_analysis(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        for step in range(3):
            tune.report({"loss": config["m"]["x"] - step})

    analysis = tune.run(
        train,
        config={"m": {"x": tune.grid_search([5.0, 3.0])}},
        metric="loss",
        mode="min",
        resources_per_trial={"cpu": 2, "gpu": 0},
        name="named",
        storage_path=tmp_path,
        verbose=0,
    )
    best = analysis.get_best_result()
    assert best.config == {"m": {"x": 3.0}} and best.metrics["loss"] == 1.0
    assert analysis.best_config == {"m": {"x": 3.0}} and analysis.best_result["loss"] == 1.0
    assert analysis.best_trial.trial_id == best.metrics["trial_id"]
    assert analysis.experiment_path == str(tmp_path / "named") and len(analysis.trials) == len(analysis) == 2
    assert list(analysis.best_dataframe["loss"]) == [3.0, 2.0, 1.0]
    assert set(analysis.results) == {trial.trial_id for trial in analysis.trials}
    assert list(analysis.dataframe()["config/m/x"]) == [5.0, 3.0]
    assert list(analysis.dataframe("loss", "max")["loss"]) == [5.0, 3.0]
    assert list(analysis.results_df["loss"]) == [3.0, 1.0]
    assert analysis.get_all_configs(prefix=True)[best.metrics["trial_id"]] == {"config/m": {"x": 3.0}}
    assert analysis.trials[0].metric_analysis["loss"] == {
        "max": 5.0, "min": 3.0, "avg": 4.0, "last": 3.0, "last-5-avg": 4.0, "last-10-avg": 4.0,
    }  # fmt: skip
    assert analysis.best_checkpoint is None
    read = tune.ExperimentAnalysis(tmp_path / "named")
    assert read.best_config == analysis.best_config


def test_experiments_as_values() -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"x": config["x"]}

    one = tune.Experiment("one", train, config={"x": 1}, num_samples=2)
    trials = tune.run_experiments([one, tune.Experiment("two", train, config={"x": 2})], verbose=0)
    assert [trial.last_result["x"] for trial in trials] == [1, 1, 2]
    with pytest.raises(tune.TuneError, match="'run'"):
        tune.run_experiments({"three": {"config": {}}})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"local_dir": "x"}, DeprecationWarning),
        ({"config": [1]}, ValueError),
        ({"restore": "x"}, FileNotFoundError),
        ({"mode": "best"}, ValueError),
        ({"scheduler": "asha"}, ValueError),
        ({"resume": True}, ValueError),
        ({"storage_path": "nosuch://bucket"}, tune.TuneError),
    ],
)
def test_what_run_refuses(options: dict[str, Any], error: type[BaseException]) -> None:
    with pytest.raises(error):
        tune.run(lambda config: None, **options)


def test_metric_given_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        fit(lambda config: None, metric="a", mode="min", scheduler=ASHAScheduler(metric="a", mode="min"))


async def test_in_a_running_loop() -> None:
    import asyncio

    grid = await asyncio.to_thread(fit, lambda config: {"a": 1})
    assert len(grid) == 1


@pytest.mark.blocks_loop
async def test_where_a_loop_runs_already() -> None:
    assert len(fit(lambda config: {"a": 1})) == 1
