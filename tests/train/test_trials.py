"""Trainers as trials of a search: placement, reports, checkpoints, failures."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ray_async import train, tune
from ray_async.train import FailureConfig, RunConfig, ScalingConfig
from ray_async.train.collective import broadcast_from_rank_zero
from ray_async.train.data_parallel_trainer import DataParallelTrainer
from ray_async.train.error import WorkerGroupError
from ray_async.tune.integration.ray_train import TuneReportCallback
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.util import get_current_placement_group

pytestmark = pytest.mark.usefixtures("session")

TWO = ScalingConfig(num_workers=2)


def search(trainer: DataParallelTrainer, space: dict[str, Any], run: RunConfig | None = None, **config: Any) -> Any:
    return tune.Tuner(
        trainer, param_space=space, tune_config=tune.TuneConfig(metric="loss", mode="min", **config), run_config=run
    ).fit()


def test_each_trial_has_workers_in_its_placement_group() -> None:
    def loop(config: dict[str, Any]) -> None:
        context = train.get_context()
        group = get_current_placement_group()
        assert group is not None
        assert context.get_trial_id() == tune.get_context().get_trial_id()
        for step in range(3):
            train.report(
                {
                    "loss": config["lr"] / (step + 1),
                    "size": context.get_world_size(),
                    "group": group.id.hex(),
                    "groups": broadcast_from_rank_zero(group.id.hex()),
                    "trial": context.get_trial_id(),
                    "bundles": context.get_trial_resources().bundles,
                }
            )

    trainer = DataParallelTrainer(
        loop, train_loop_config={"lr": 1.0, "kept": 5}, scaling_config=TWO, run_config=RunConfig(verbose=0)
    )
    grid = search(trainer, {"train_loop_config": {"lr": tune.grid_search([3.0, 2.0])}})
    assert grid.num_errors == 0 and len(grid) == 2
    best = grid.get_best_result()
    assert best.config == {"train_loop_config": {"lr": 2.0}} and best.metrics["loss"] == pytest.approx(2 / 3)
    assert best.metrics["size"] == 2 and best.metrics["bundles"] == [{"CPU": 1.0}, {"CPU": 1.0}]
    assert best.metrics["trial"] == best.metrics["trial_id"] and best.metrics["group"] == best.metrics["groups"]
    assert os.path.basename(best.path).startswith("DataParallelTrainer_")


def test_the_number_of_workers_is_a_parameter_too() -> None:
    trainer = DataParallelTrainer(lambda: train.report({"loss": -train.get_context().get_world_size()}))
    space = {"scaling_config": ScalingConfig(num_workers=tune.grid_search([1, 3]))}  # type: ignore[arg-type]
    grid = search(trainer, space, RunConfig(verbose=0))
    assert [result.metrics["loss"] for result in grid] == [-1, -3]
    assert grid.get_best_result().config["scaling_config"]["num_workers"] == 3


def test_a_scheduler_ends_all_workers_of_a_trial(tmp_path: Path) -> None:
    def loop(config: dict[str, Any]) -> None:
        name = f"{config['loss']}-{train.get_context().get_world_rank()}"
        Path(config["folder"], name).write_text(str(os.getpid()))
        for _ in range(4):
            train.report({"loss": config["loss"]})

    trainer = DataParallelTrainer(loop, train_loop_config={"folder": str(tmp_path)}, scaling_config=TWO)
    grid = search(
        trainer,
        {"train_loop_config": {"loss": tune.grid_search([1, 2])}},
        RunConfig(verbose=0),
        scheduler=ASHAScheduler(max_t=4, grace_period=1, reduction_factor=2),
        max_concurrent_trials=1,
    )
    assert [result.metrics["training_iteration"] for result in grid] == [4, 1]
    for path in (path for path in tmp_path.iterdir() if path.name.startswith(("1-", "2-"))):
        with pytest.raises(ProcessLookupError):
            while True:
                os.kill(int(path.read_text()), 0)


def test_a_worker_that_dies_costs_its_trial_a_failure(tmp_path: Path) -> None:
    def loop(config: dict[str, Any]) -> None:
        rank = train.get_context().get_world_rank()
        start = train.get_checkpoint()
        first = int(Path(start.path, "rank0").read_text()) + 1 if start is not None else 0
        for epoch in range(first, 3):
            if epoch == 1 and rank == 1 and (first == 0 or config["always"]):
                os.kill(os.getpid(), signal.SIGKILL)
            with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
                Path(folder, f"rank{rank}").write_text(str(epoch))
                train.report({"loss": epoch, "first": first}, checkpoint=train.Checkpoint(folder))

    run = RunConfig(verbose=0, failure_config=FailureConfig(max_failures=1))
    trainer = DataParallelTrainer(loop, scaling_config=TWO, run_config=run)
    grid = search(trainer, {"train_loop_config": {"always": tune.grid_search([False, True])}})
    good, bad = grid[0], grid[1]
    assert good.error is None and list(good.metrics_dataframe["loss"]) == [0, 1, 2] and good.metrics["first"] == 1
    assert good.checkpoint is not None and sorted(os.listdir(good.checkpoint.path)) == ["rank0", "rank1"]
    assert isinstance(bad.error, WorkerGroupError) and "the worker of rank 1 (of 2) died" in str(bad.error)


def test_parameters_at_the_wrong_place_are_named() -> None:
    trainer = DataParallelTrainer(print, scaling_config=TWO)
    with pytest.raises(ValueError, match="param_space has lr: parameters of the training function go into"):
        search(trainer, {"lr": tune.uniform(0, 1)}, RunConfig(verbose=0))


def test_resources_of_a_trainer_are_said_in_its_scaling_config() -> None:
    with pytest.raises(ValueError, match="ScalingConfig: num_workers"):
        tune.with_resources(DataParallelTrainer(print), {"cpu": 2})
    factory = ScalingConfig(num_workers=2, trainer_resources={"CPU": 1}, use_gpu=True).as_placement_group_factory()
    assert factory.bundles == [{"CPU": 1.0}, {"GPU": 1.0}, {"GPU": 1.0}] and factory.strategy == "PACK"


def test_a_trainer_with_a_bundle_of_its_own() -> None:
    scaling = ScalingConfig(num_workers=2, trainer_resources={"CPU": 1}, resources_per_worker={"CPU": 0.5})
    trainer = DataParallelTrainer(lambda: train.report({"loss": 1}), scaling_config=scaling)
    grid = search(trainer, {}, RunConfig(verbose=0))
    assert grid.num_errors == 0 and grid[0].metrics["loss"] == 1


def test_a_trainer_that_a_trial_runs_by_itself_reports_to_it() -> None:
    def loop(config: dict[str, Any]) -> None:
        for step in range(2):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "x").write_text("1")
                train.report({"loss": config["x"] + step}, checkpoint=train.Checkpoint(folder))

    def trial(config: dict[str, Any]) -> None:
        run = train.RunConfig(name=tune.get_context().get_trial_id(), callbacks=[TuneReportCallback()])
        DataParallelTrainer(loop, train_loop_config=config, scaling_config=TWO, run_config=run).fit()

    grid = tune.Tuner(
        tune.with_resources(trial, {"cpu": 0.5}),
        param_space={"x": tune.grid_search([1, 2])},
        tune_config=tune.TuneConfig(metric="loss", mode="min", max_concurrent_trials=1),
        run_config=RunConfig(verbose=0),
    ).fit()
    assert [list(result.metrics_dataframe["loss"]) for result in grid] == [[1, 2], [2, 3]]
    assert all(result.checkpoint is not None and result.checkpoint.path.startswith(result.path) for result in grid)
