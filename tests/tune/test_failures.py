"""Failures: retries from checkpoints, killed workers, a failure that ends all, Ctrl-C, and kills of the driver."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async import tune
from ray_async.tune import Checkpoint, FailureConfig, RunConfig, TuneConfig, Tuner
from tests.tune.test_tuner import fit, only

pytestmark = pytest.mark.usefixtures("session")
ROOT = Path(__file__).parents[2]


def saving(config: dict[str, Any]) -> None:
    """Count to 8 with a checkpoint at 3; dies once after the report of 5, in the way that the config says."""
    start = 0
    if (checkpoint := tune.get_checkpoint()) is not None:
        with checkpoint.as_directory() as folder:
            start = int(Path(folder, "n").read_text())
    mark = Path(config["mark"])
    for n in range(start + 1, 9):
        value = {"n": n, "again": mark.exists()}
        if n == 3 and config["save"]:
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "n").write_text(str(n))
                tune.report(value, checkpoint=Checkpoint.from_directory(folder))
        else:
            tune.report(value)
        if n == 5 and not mark.exists():
            mark.touch()
            if config["how"] == "raise":
                raise RuntimeError("once")
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("how", ["raise", "kill"])
@pytest.mark.parametrize("save", [True, False])
def test_a_retry_goes_on_from_the_checkpoint_and_each_iteration_is_there_once(
    how: str, save: bool, tmp_path: Path
) -> None:
    run = RunConfig(failure_config=FailureConfig(max_failures=1), stop={"n": 100})
    result = only(fit(saving, {"mark": str(tmp_path / "mark"), "how": how, "save": save}, run))
    assert result.error is None, result.error
    frame = result.metrics_dataframe
    assert list(frame["training_iteration"]) == list(frame["n"]) == list(range(1, 9))
    first = 4 if save else 1
    assert list(frame["again"]) == [n >= first for n in range(1, 9)]
    assert list(frame["iterations_since_restore"])[first - 1 :] == list(range(1, 10 - first))
    assert frame["time_total_s"].is_monotonic_increasing


def test_without_retries_left_the_error_is_told() -> None:
    def dies(config: dict[str, Any]) -> None:
        if config["how"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("always")

    grid = fit(dies, {"how": tune.grid_search(["raise", "kill"])}, RunConfig(failure_config=FailureConfig(1)))
    assert grid.num_errors == 2
    assert isinstance(grid[0].error, ValueError)
    assert isinstance(grid[1].error, ray.exceptions.RayActorError) and "SIGKILL" in str(grid[1].error)


def test_a_killer_among_quick_trials_takes_nobody_along(tmp_path: Path) -> None:
    def quick(config: dict[str, Any]) -> dict[str, Any]:
        if config["i"] == 70:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"i": config["i"]}

    grid = fit(quick, {"i": tune.grid_search(list(range(100)))})
    assert [result.config["i"] for result in grid if result.error is not None] == [70]  # type: ignore[index]
    assert [result.metrics["i"] for result in grid if result.error is None] == [i for i in range(100) if i != 70]


def test_fail_fast_leaves_the_others_to_a_restore(tmp_path: Path) -> None:
    go = tmp_path / "go"

    def train(config: dict[str, Any]) -> dict[str, Any]:
        if config["i"] == 0 and not go.exists():
            raise ValueError("first")
        while not go.exists():
            tune.report({"i": -1})
        return {"i": config["i"]}

    tuner = Tuner(
        train,
        param_space={"i": tune.grid_search(list(range(6)))},
        tune_config=TuneConfig(),
        run_config=RunConfig(failure_config=FailureConfig(fail_fast=True)),
    )
    grid = tuner.fit()
    assert (grid.num_errors, grid.num_terminated) == (1, 0)
    go.touch()
    again = Tuner.restore(grid.experiment_path, train, resume_errored=True).fit()
    assert sorted(result.metrics["i"] for result in again) == list(range(6))
    assert (again.num_errors, again.num_terminated) == (0, 6)


def test_fail_fast_may_raise() -> None:
    def fails(config: dict[str, Any]) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        fit(fails, run=RunConfig(failure_config=FailureConfig(fail_fast="raise")))


def test_run_raises_for_failed_trials() -> None:
    def fails(config: dict[str, Any]) -> None:
        raise KeyError("x")

    with pytest.raises(tune.TuneError, match="Trials did not complete"):
        tune.run(fails)
    analysis = tune.run(fails, raise_on_failed_trial=False)
    assert analysis.num_errors == 1 and len(analysis) == 1


DRIVER = """
import os, signal, sys, threading
import psutil
import ray_async as ray
from ray_async import tune

def train(config):
    for step in range(3):
        tune.report({"u": config["u"] + step})

def main(folder, kill_after):
    count = 0
    class Killer(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):
            nonlocal count
            count += 1
            if count == kill_after:
                if "--node" in sys.argv:
                    (node,) = [one for one in psutil.Process().children() if one.cmdline()[0] == "ray::node"]
                    node.kill()
                else:
                    os.kill(os.getpid(), signal.SIGINT if "--interrupt" in sys.argv else signal.SIGKILL)
        def on_experiment_end(self, trials, **info):
            if "--blocks" in sys.argv:
                print("waits", flush=True)
                threading.Event().wait()
            print("callbacks have ended", file=sys.stderr, flush=True)
    ray.init(num_cpus=2, log_to_driver=False)
    from ray_async.tune.schedulers import TrialScheduler
    from ray_async.tune.search import BasicVariantGenerator
    space = {"g": tune.grid_search([1, 2]), "u": tune.uniform(0, 1)}
    # With this scheduler trials wait at each report: else a kill comes when most reports are in the journal.
    search = BasicVariantGenerator(random_state=7)
    config = tune.TuneConfig(num_samples=6, search_alg=search, scheduler=TrialScheduler())
    path = os.path.join(folder, "e")
    if tune.Tuner.can_restore(path):
        tuner = tune.Tuner.restore(path, train)
    else:
        run = tune.RunConfig(name="e", storage_path=folder, verbose=0)
        tuner = tune.Tuner(train, param_space=space, tune_config=config, run_config=run)
    tuner._spec.run.callbacks = [Killer()] if kill_after else None
    if tuner._search is not None:
        tuner._search.spec.run.callbacks = tuner._spec.run.callbacks
    for result in tuner.fit():
        print(result.metrics["trial_id"], result.config["g"], result.config["u"], result.metrics["u"])

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
"""


def command(folder: Path, kill_after: int, *more: str) -> list[str]:
    script = folder / "driver.py"
    script.write_text(DRIVER)
    return [sys.executable, str(script), str(folder), str(kill_after), *more]


def drive(folder: Path, kill_after: int, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = command(folder, kill_after, *more)
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(arguments, env=variables, capture_output=True, text=True, timeout=100)


def rows(text: str) -> list[list[str]]:
    """Number, config and result of each trial; the first part of an id is the search's own."""
    return [[row.split()[0][-5:], *row.split()[1:]] for row in text.splitlines()]


def test_a_node_that_is_killed_ends_the_search_and_a_restore_goes_on(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    expected = drive(tmp_path / "whole", 0)
    assert expected.returncode == 0, expected.stderr
    killed = drive(tmp_path / "cut", 7, "--node")
    assert killed.returncode == 1 and "NodeDiedError" in killed.stderr
    last = drive(tmp_path / "cut", 0)
    assert last.returncode == 0, last.stderr
    assert rows(last.stdout) == rows(expected.stdout) and len(rows(last.stdout)) == 12


def test_a_driver_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    cut = tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    expected = drive(whole, 0)
    assert expected.returncode == 0, expected.stderr
    for kill_after in (1, 7, 4):
        assert drive(cut, kill_after).returncode == -signal.SIGKILL
    last = drive(cut, 0)
    assert last.returncode == 0, last.stderr
    assert rows(last.stdout) == rows(expected.stdout) and len(rows(last.stdout)) == 12


def test_ctrl_c_saves_and_returns(tmp_path: Path) -> None:
    first = drive(tmp_path, 5, "--interrupt")
    assert first.returncode in (0, 1), first.stderr
    # After the last table, which on a terminal takes the place of what was written since the one before.
    assert "Tuner.restore" in first.stderr.partition("callbacks have ended")[2]
    last = drive(tmp_path, 0)
    assert last.returncode == 0 and len(last.stdout.splitlines()) == 12, last.stderr


def interrupted(driver: subprocess.Popen[str]) -> str:
    """What a driver writes to stderr that gets Ctrl-C, again and again until it ends.

    One alone does not always reach it: Python looks for signals before it waits for a lock, and one that comes between
    the two is seen only once that wait ends.
    """
    try:
        for _ in range(6):
            driver.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return driver.communicate(timeout=10)[1]
        raise AssertionError("the driver has not ended")
    finally:
        driver.kill()


def test_a_second_ctrl_c_ends_a_callback_that_blocks_and_names_it(tmp_path: Path) -> None:
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = command(tmp_path, 5, "--interrupt", "--blocks")
    with subprocess.Popen(
        arguments, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "waits\n"
        told = interrupted(driver)
    assert driver.returncode != 0 and "on_experiment_end of Killer" in told
    last = drive(tmp_path, 0)
    assert last.returncode == 0 and len(last.stdout.splitlines()) == 12, last.stderr
