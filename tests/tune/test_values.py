"""What calls really give: values of results and of questions about them that other files do not ask."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from ray_async import tune
from ray_async.air.plain_metrics import plain_metrics
from ray_async.tune.search.optuna import OptunaSearch
from ray_async.tune.search.search_generator import SearchGenerator
from tests.tune.test_tuner import fit, only, returning

pytestmark = pytest.mark.usefixtures("session")

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(("mode", "best"), [("min", -INF), ("max", INF)])
def test_an_infinite_value_counts_as_a_number(mode: str, best: float) -> None:
    grid = fit(lambda c: {"v": c["v"]}, {"v": tune.grid_search([1.0, INF, NAN, -INF])}, metric="v", mode=mode)
    assert grid.get_best_result().config == grid.get_best_result(filter_nan_and_inf=False).config == {"v": best}


def test_nan_in_the_last_report_alone() -> None:
    def train(config: dict[str, Any]) -> None:
        for value in config["values"]:
            tune.report({"v": value})

    space = {"values": tune.grid_search([[1.0, NAN], [3.0, 2.0]])}
    grid = fit(train, space, metric="v", mode="min")
    assert grid.get_best_result().config == {"values": [3.0, 2.0]}
    assert grid.get_best_result(scope="all").config == {"values": [1.0, NAN]}


def test_numpy_values_in_the_files_of_a_trial() -> None:
    result = only(fit(lambda c: {"f": np.float32(1.5), "i": np.int64(3), "a": np.arange(3), "n": {"x": None}}))
    (row,) = [json.loads(line) for line in Path(result.path, "result.json").read_text().splitlines()]
    assert (row["f"], row["i"], row["a"], row["n"]) == (1.5, 3, [0, 1, 2], {"x": None})


def test_a_tensor_of_one_number_is_that_number_and_others_are_refused_by_name() -> None:
    def tensor(*values: float) -> Any:
        # As torch's, which is too large for the suite.
        parts = {"__module__": "torch", "numel": lambda self: len(values), "item": lambda self: values[0]}
        return type("Tensor", (), parts)()

    assert plain_metrics({"loss": tensor(2.5), "n": {"deep": tensor(1)}, "x": 3}) == {
        "loss": 2.5, "n": {"deep": 1}, "x": 3,
    }  # fmt: skip
    with pytest.raises(ValueError, match="'loss' is a torch tensor of 2 numbers"):
        plain_metrics({"loss": tensor(1, 2)})


def test_a_trial_that_reports_nothing_is_done_without_metrics_of_its_own() -> None:
    result = only(fit(returning(None), {"x": 1}))
    assert result.error is None and result.metrics["done"] is True
    assert result.config == {"x": 1}


def test_what_is_reported_and_then_returned_are_both_there() -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        tune.report({"loss": 1.0})
        return {"loss": 2.0}

    assert list(only(fit(train)).metrics_dataframe["loss"]) == [1.0, 2.0]


def test_a_missing_metric_is_passed_over_where_strict_checks_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_STRICT_METRIC_CHECKING", "1")
    grid = fit(lambda c: {c["k"]: 1}, {"k": tune.grid_search(["loss", "los"])}, metric="loss", mode="min")
    assert grid.num_errors == 0 and grid.get_best_result().config == {"k": "loss"}


def test_questions_of_a_single_trial_need_no_metric() -> None:
    grid = fit(returning({"loss": 1}))
    assert grid.get_best_result().metrics["loss"] == 1
    two = fit(lambda c: {"loss": c["x"]}, {"x": tune.grid_search([1, 2])})
    with pytest.raises(RuntimeError, match="No best trial found"):
        two.get_best_result("nothing", "min")


def test_nests_in_a_config_stay_and_are_columns_of_the_frame() -> None:
    space = {"m": {"lr": tune.uniform(0, 1), "d": {"k": 5}}, "fn": len}
    grid = fit(returning({"loss": 1}), space)
    assert grid[0].metrics["config"]["m"]["d"] == {"k": 5} and grid[0].metrics["config"]["fn"] is len
    assert {"config/m/lr", "config/m/d/k", "config/fn"} <= set(grid.get_dataframe().columns)


def test_an_analysis_is_a_sequence_of_results_with_the_questions_of_rays() -> None:
    analysis = tune.run(
        lambda c: {"loss": c["x"]}, config={"x": tune.grid_search([2, 1, 3])}, metric="loss", mode="min", verbose=0
    )
    assert len(analysis) == 3 and [result.metrics["config"]["x"] for result in analysis] == [2, 1, 3]
    assert analysis[1].metrics["loss"] == 1 and analysis.get_best_result().config == {"x": 1}
    assert analysis.get_best_config("loss", "max") == {"x": 3}
    best = analysis.get_best_trial("loss", "min")
    assert best is not None and best.config == {"x": 1} and analysis.get_best_checkpoint(best, "loss", "min") is None
    assert analysis.get_last_checkpoint(best) is None


def test_what_a_result_has() -> None:
    result = only(fit(returning({"loss": 1}), {"x": 1}))
    assert (result.config, result.error, result.checkpoint, result.best_checkpoints) == ({"x": 1}, None, None, [])
    assert result.filesystem.type_name == "local" and Path(result.path).name.startswith("lambda_")
    assert result.metrics_dataframe is not None and list(result.metrics_dataframe["loss"]) == [1]
    assert result.get_best_checkpoint("loss", "min") is None


def test_trials_share_workers() -> None:
    grid = fit(lambda config: {"worker": os.getpid()}, num_samples=40)
    assert len({result.metrics["worker"] for result in grid}) <= 4


def test_optuna_draws_by_tpe_and_uses_a_point_out_of_range() -> None:
    searcher = OptunaSearch(points_to_evaluate=[{"x": 5.0}], seed=1)
    generator = SearchGenerator(searcher)
    assert generator.set_search_properties("loss", "min", {"x": tune.uniform(0, 1)})
    generator.setup({"x": tune.uniform(0, 1)}, 3, "t")
    with pytest.warns(UserWarning, match="out of range"):
        first = generator.next_suggestion()
    second = generator.next_suggestion()
    assert first is not None and first.config == {"x": 5.0}
    assert second is not None and 0 <= second.config["x"] <= 1
    assert isinstance(searcher.study.sampler, optuna.samplers.TPESampler)
