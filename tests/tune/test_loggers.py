"""Callbacks and loggers: the conformance suite that each passes, and the files of trials."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_async import tune
from ray_async.air.result import Result
from ray_async.tune import Callback, FailureConfig, RunConfig
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.logger import CSVLoggerCallback, JsonLoggerCallback, LoggerCallback, TBXLoggerCallback
from tests.tune.test_tuner import fit, only

NAN = float("nan")


class Recorder(LoggerCallback):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def log_trial_start(self, trial: Trial) -> None:
        self.calls.append("start")

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self.calls.append(f"result {result['training_iteration']}")

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self.calls.append(f"end {failed}")

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        super().on_experiment_end(trials)
        self.calls.append("over")


def result_of(iteration: int, since: int, **metrics: Any) -> dict[str, Any]:
    filled = {"training_iteration": iteration, "iterations_since_restore": since, "config": {"a": 1}}
    return {**metrics, **filled}


@pytest.fixture(params=[Callback, LoggerCallback, Recorder, JsonLoggerCallback, CSVLoggerCallback, TBXLoggerCallback])
def make(request: pytest.FixtureRequest) -> Any:
    return request.param


ODD: dict[str, Any] = {
    "none": None, "tuple": (1, 2), "dict": {"x": [1]}, "int64": np.int64(3), "bool": True, "function": len,
    "class": dict, "array": np.arange(2), "nan": NAN, "text": "a,b\n\"c\"", "empty": {},
}  # fmt: skip


def test_conformance(make: Any, tmp_path: Path) -> None:
    callback = make()
    callback.setup(stop=None, num_samples=1, total_num_samples=None)
    trial = Trial("f", trial_id="a", config=dict(ODD), path=str(tmp_path / "a"))
    unheard = Trial("f", trial_id="b", path=str(tmp_path / "b"))
    for one in (trial, unheard):
        callback.on_trial_start(iteration=1, trials=[trial], trial=one)
    callback.on_trial_result(iteration=2, trials=[trial], trial=trial, result=result_of(1, 1, **ODD))
    callback.on_trial_recover(iteration=3, trials=[trial], trial=trial)
    callback.on_trial_start(iteration=4, trials=[trial], trial=trial)
    callback.on_trial_restore(iteration=4, trials=[trial], trial=trial)
    callback.on_trial_result(iteration=5, trials=[trial], trial=trial, result=result_of(1, 1, loss=2))
    callback.on_trial_complete(iteration=6, trials=[trial], trial=trial)
    callback.on_experiment_end(trials=[trial])
    # Nothing of an ended trial is kept.
    kept = [value for name, value in vars(callback).items() if isinstance(value, dict) and name != "calls"]
    assert not any(kept)


def test_a_trial_that_was_started_is_ended_once() -> None:
    recorder = Recorder()
    trial = Trial("f", trial_id="a")
    recorder.on_trial_start(1, [trial], trial)
    recorder.on_experiment_end([trial])
    recorder.on_trial_complete(1, [trial], trial)
    assert recorder.calls == ["start", "end False", "over"]


@pytest.mark.usefixtures("session")
def test_calls_of_a_search() -> None:
    recorder = Recorder()

    def endless(config: dict[str, Any]) -> None:
        while True:
            tune.report({"a": 1})

    only(fit(endless, run=RunConfig(callbacks=[recorder], stop={"training_iteration": 3})))
    assert recorder.calls == ["start", "result 1", "result 2", "result 3", "end False", "over"]
    failing = Recorder()
    run = RunConfig(callbacks=[failing], failure_config=FailureConfig(max_failures=1))
    fit(lambda config: 1 / 0, run=run)
    assert failing.calls == ["start", "start", "end True", "over"]


@pytest.mark.usefixtures("session")
def test_the_files_of_a_trial() -> None:
    def train(config: dict[str, Any]) -> None:
        tune.report({"a": 1})
        tune.report({"a": 2, "b": {"c": np.float32(0.5)}})
        tune.report({"b": {"c": NAN}, "t": (1, 2)})

    result = only(fit(train, {"lr": 0.1, "layers": [1, 2], "f": len}))
    folder = Path(result.path)
    assert json.loads((folder / "params.json").read_text())["lr"] == 0.1
    rows = [json.loads(line) for line in (folder / "result.json").read_text().splitlines()]
    assert [row.get("a") for row in rows] == [1, 2, None] and rows[1]["b"] == {"c": 0.5} and rows[2]["t"] == [1, 2]
    with open(folder / "progress.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["a"] for row in table] == ["1", "2", ""]
    assert [row["b/c"] for row in table] == ["", "0.5", "nan"]
    assert [row["training_iteration"] for row in table] == ["1", "2", "3"]
    again = Result.from_path(folder)
    assert again.metrics["training_iteration"] == 3 and again.config == {"lr": 0.1, "layers": [1, 2], "f": len}
    assert list(again.metrics_dataframe["training_iteration"]) == [1, 2, 3]


@pytest.mark.usefixtures("session")
def test_the_error_of_a_failed_trial_is_in_its_directory() -> None:
    result = only(fit(lambda config: {"a": 1}["key"]))
    assert "KeyError" in (Path(result.path) / "error.txt").read_text()


@pytest.mark.parametrize("kind", [JsonLoggerCallback, CSVLoggerCallback])
def test_a_retry_takes_the_place_of_what_it_repeats(kind: Any, tmp_path: Path) -> None:
    trial = Trial("f", trial_id="a", path=str(tmp_path))
    first = kind()
    first.on_trial_start(1, [], trial)
    for n in range(1, 6):
        first.on_trial_result(1, [], trial, result_of(n, n, v=n))
    first.on_experiment_end([])
    # A killed process has left half a line.
    for path in tmp_path.glob("*.*"):
        if path.suffix in (".json", ".csv") and path.name != "params.json":
            path.write_bytes(path.read_bytes() + b'{"half')
    second = kind()
    second.on_trial_start(1, [], trial)
    for n in range(4, 7):
        second.on_trial_result(1, [], trial, result_of(n, n - 3, v=n * 10))
    second.on_trial_complete(1, [], trial)
    if kind is JsonLoggerCallback:
        values = [json.loads(line)["v"] for line in (tmp_path / "result.json").read_text().splitlines()]
    else:
        text = (tmp_path / "progress.csv").read_text()
        values = [int(row["v"]) for row in csv.DictReader(text.splitlines())]
    assert values == [1, 2, 3, 40, 50, 60]


@pytest.mark.usefixtures("session")
def test_files_may_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    result = only(fit(lambda config: {"a": 1}))
    assert not Path(result.path).exists()
    assert list(result.metrics_dataframe["a"]) == [1]
