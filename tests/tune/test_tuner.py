"""Tuner and its results, from end to end."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import ray_async as ray
from ray_async import train, tune
from ray_async.air import session as air_session
from ray_async.tune import Result, ResultGrid, RunConfig, TuneConfig, Tuner

pytestmark = pytest.mark.usefixtures("session")


def fit(trainable: Any, space: dict[str, Any] | None = None, run: RunConfig | None = None, **config: Any) -> ResultGrid:
    return Tuner(trainable, param_space=space or {}, tune_config=TuneConfig(**config), run_config=run).fit()


def only(grid: ResultGrid) -> Result:
    assert len(grid) == 1
    return grid[0]


def test_the_best_of_several() -> None:
    def train_it(config: dict[str, Any]) -> None:
        for step in range(3):
            tune.report({"loss": config["x"] / (step + 1)})

    grid = fit(train_it, {"x": tune.grid_search([3.0, 1.0, 2.0])}, metric="loss", mode="min")
    best = grid.get_best_result()
    assert (len(grid), grid.num_terminated, grid.num_errors) == (3, 3, 0)
    assert best.config == {"x": 1.0}
    assert best.metrics["loss"] == pytest.approx(1 / 3) and best.metrics["training_iteration"] == 3
    assert grid.get_best_result("loss", "max").config == {"x": 3.0}
    assert list(best.metrics_dataframe["loss"]) == pytest.approx([1, 1 / 2, 1 / 3])
    assert list(grid.get_dataframe()["config/x"]) == [3.0, 1.0, 2.0]


def test_the_keys_that_are_filled_in() -> None:
    result = only(fit(lambda config: tune.report({"loss": 1}), {"a": {"b": 1}}))
    assert set(result.metrics) == {
        *("loss", "timestamp", "checkpoint_dir_name", "done", "training_iteration", "trial_id", "date"),
        *("time_this_iter_s", "time_total_s", "pid", "hostname", "node_ip", "config", "time_since_restore"),
        *("iterations_since_restore", "experiment_tag"),
    }
    assert result.metrics["done"] is True and result.config == {"a": {"b": 1}}
    assert result.metrics["pid"] != os.getpid()


def returning(value: Any) -> Any:
    return lambda config: value


@pytest.mark.parametrize(
    ("value", "metrics"),
    [({"loss": 1}, {"loss": 1}), (3.5, {"_metric": 3.5}), (np.float64(2), {"_metric": 2.0}), (None, {})],
)
def test_returned_values(value: Any, metrics: dict[str, Any]) -> None:
    result = only(fit(returning(value)))
    assert result.error is None
    assert {name: result.metrics[name] for name in metrics} == metrics
    assert ("training_iteration" in result.metrics) is bool(metrics)


def test_a_returned_string_fails_the_trial() -> None:
    result = only(fit(returning("s")))
    assert isinstance(result.error, ValueError) and "'s'" in str(result.error)


def test_generators_coroutines_and_async_generators() -> None:
    def generator(config: dict[str, Any]) -> Any:
        yield {"loss": 2.0}
        yield {"loss": 1.0}

    async def coroutine(config: dict[str, Any]) -> Any:
        await asyncio.sleep(0)
        await tune.report({"loss": 2.0})
        return {"loss": 1.0}

    async def async_generator(config: dict[str, Any]) -> Any:
        yield {"loss": 2.0}
        await asyncio.sleep(0)
        yield {"loss": 1.0}

    for function in (generator, coroutine, async_generator):
        assert list(only(fit(function)).metrics_dataframe["loss"]) == [2.0, 1.0]


def test_one_report_function_under_every_path() -> None:
    assert tune.report is train.report is air_session.report

    def from_a_thread(config: dict[str, Any]) -> None:
        thread = threading.Thread(target=lambda: ray.train.report({"loss": 7}))
        thread.start()
        thread.join()

    metrics = only(fit(from_a_thread)).metrics
    assert metrics["loss"] == 7


def test_reports_outside_of_a_trial_and_wrong_ones() -> None:
    with pytest.raises(RuntimeError, match="outside of a trial"):
        tune.report({"loss": 1})
    with pytest.raises(TypeError, match="dict of metrics"):
        tune.report(1.0)
    with pytest.raises(TypeError, match=r"report\(\{'loss': \.\.\.\}\)"):
        tune.report(loss=1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dict of metrics"):
        tune.report()


def test_values_of_metrics() -> None:
    def values(config: dict[str, Any]) -> None:
        tune.report({"f": np.float32(1.5), "i": np.int64(3), "a": np.arange(3), "n": {"x": None}, "s": "text"})

    metrics = only(fit(values)).metrics
    assert (type(metrics["f"]), type(metrics["i"]), metrics["a"].tolist()) == (np.float32, np.int64, [0, 1, 2])
    assert (metrics["n"], metrics["s"]) == ({"x": None}, "text")


def test_a_metric_that_cannot_be_pickled_fails_its_trial_by_name() -> None:
    error = only(fit(lambda config: {"lock": threading.Lock(), "x": 1})).error
    assert isinstance(error, TypeError) and "['lock']" in str(error)


def test_a_trial_that_raises() -> None:
    def fails(config: dict[str, Any]) -> dict[str, Any]:
        if config["x"]:
            raise KeyError("missing")
        return {"loss": 1}

    grid = fit(fails, {"x": tune.grid_search([0, 1])}, metric="loss", mode="min")
    assert (grid.num_errors, grid.num_terminated) == (1, 1)
    (error,) = grid.errors
    assert isinstance(error, KeyError) and isinstance(error, ray.exceptions.RayTaskError)
    assert 'raise KeyError("missing")' in str(error) and "runner.py" not in str(error)
    assert grid.get_best_result().config == {"x": 0}


def test_missing_metrics_fail_that_trial_alone() -> None:
    grid = fit(lambda config: config, {"loss": 1, "x": tune.grid_search([0, 1])}, metric="loss", mode="min")
    assert grid.num_errors == 0
    grid = fit(lambda config: {config["k"]: 1}, {"k": tune.grid_search(["loss", "los"])}, metric="loss", mode="min")
    assert (grid.num_errors, grid.num_terminated) == (1, 1)
    assert "'loss'" in str(grid.errors[0]) and "'los'" in str(grid.errors[0])


def test_nan_is_never_best() -> None:
    grid = fit(lambda c: {"loss": c["v"]}, {"v": tune.grid_search([float("nan"), 2.0, 1.0])}, metric="loss", mode="min")
    assert grid.get_best_result().config == {"v": 1.0}
    assert grid.get_best_result(filter_nan_and_inf=False).config == {"v": 1.0}
    grid = fit(lambda c: {"loss": float("nan")}, {"v": tune.grid_search([1, 2])}, metric="loss", mode="min")
    with pytest.raises(RuntimeError, match="No best trial found"):
        grid.get_best_result()


def test_questions_without_a_metric() -> None:
    grid = fit(lambda c: {"loss": c["v"]}, {"v": tune.grid_search([1, 2])})
    with pytest.raises(ValueError, match="metric"):
        grid.get_best_result()
    with pytest.raises(ValueError, match="scope"):
        grid.get_best_result("loss", "min", scope="first")


@pytest.mark.parametrize("stop", [{"training_iteration": 2}, {"n": 2}, lambda trial_id, result: result["n"] >= 2])
def test_stop_ends_an_endless_trial_exactly(stop: Any) -> None:
    def endless(config: dict[str, Any]) -> None:
        n = 0
        while True:
            n += 1
            tune.report({"n": n})

    result = only(fit(endless, run=RunConfig(stop=stop)))
    assert (result.metrics["n"], result.metrics["done"]) == (2, True)
    assert list(result.metrics_dataframe["n"]) == [1, 2]


def test_finally_blocks_of_a_stopped_trial_run(tmp_path: Path) -> None:
    def careful(config: dict[str, Any]) -> None:
        try:
            while True:
                tune.report({"n": 1})
        finally:
            (tmp_path / "closed").touch()

    fit(careful, run=RunConfig(stop={"training_iteration": 3}))
    assert (tmp_path / "closed").exists()


def test_trials_run_in_their_directories_and_empty_ones_go() -> None:
    def writes(config: dict[str, Any]) -> None:
        if config["w"]:
            Path("note").write_text(tune.get_context().get_trial_id() or "")
        tune.report({"dir": os.getcwd(), "id": tune.get_context().get_trial_id()})

    grid = fit(writes, {"w": tune.grid_search([1, 0])})
    for result in grid:
        assert result.metrics["dir"] == result.path
    assert (Path(grid[0].path) / "note").read_text() == grid[0].metrics["id"]


def test_wrong_trainables() -> None:
    with pytest.raises(tune.TuneError, match="trainable"):
        Tuner()
    with pytest.raises(ValueError, match="exactly one positional"):
        Tuner(lambda: 1)
    with pytest.raises(ValueError, match="exactly one positional"):
        Tuner(lambda a, b: 1)
    with pytest.raises(tune.TuneError, match="'nobody'"):
        Tuner("nobody")


def test_a_trial_that_no_node_can_run_is_refused_at_once() -> None:
    with pytest.raises(tune.TuneError, match=r"no node can ever run.*64"):
        fit(tune.with_resources(returning({}), {"cpu": 64}))


def test_results_before_fit() -> None:
    with pytest.raises(RuntimeError, match="fit"):
        Tuner(returning({})).get_results()


@pytest.mark.parametrize(
    ("call", "wrong", "near"),
    [
        (tune.run, "confg", "config"),
        (Tuner, "param_spce", "param_space"),
        (TuneConfig, "num_sample", "num_samples"),
        (RunConfig, "storage_pth", "storage_path"),
        (tune.FailureConfig, "max_failure", "max_failures"),
        (tune.CheckpointConfig, "num_to_kep", "num_to_keep"),
    ],
)
def test_a_mistyped_argument_is_named_with_the_nearest_one(call: object, wrong: str, near: str) -> None:
    with pytest.raises(TypeError, match=rf"'{wrong}'\. Did you mean '{near}'\?"):
        cast(Any, call)(**{wrong: 1})
