"""A training function in several workers, outside of Tune."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async import train
from ray_async.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig, UserCallback
from ray_async.train.collective import barrier, broadcast_from_rank_zero
from ray_async.train.data_parallel_trainer import DataParallelTrainer
from ray_async.train.error import TrainingFailedError, WorkerGroupError
from ray_async.train.run_store import RunStore

pytestmark = pytest.mark.usefixtures("session")

TWO = ScalingConfig(num_workers=2)


def fit(loop: Any, *, workers: int = 2, run: RunConfig | None = None, **more: Any) -> Result:
    return DataParallelTrainer(
        loop, scaling_config=ScalingConfig(num_workers=workers), run_config=run or RunConfig(name="run"), **more
    ).fit()


def save(epoch: int, place: Path | None = None) -> None:
    """Report an epoch with a file of this worker's own, made in a folder that goes even where the worker is killed."""
    rank = train.get_context().get_world_rank()
    with tempfile.TemporaryDirectory(dir=place) as folder:
        Path(folder, f"rank{rank}").write_text(str(epoch))
        train.report({"epoch": epoch}, checkpoint=train.Checkpoint(folder))


def saved(folder: str) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(folder).iterdir() if not path.name.startswith(".")}


def test_reports_of_rank_0_and_the_places_of_workers() -> None:
    def loop(config: dict[str, Any]) -> list[Any]:
        context = train.get_context()
        place = [context.get_world_rank(), context.get_world_size(), context.get_local_rank()]
        place += [context.get_local_world_size(), context.get_node_rank()]
        for step in range(config["steps"]):
            train.report({"step": step, "rank": context.get_world_rank()})
        return [*place, context.get_experiment_name(), broadcast_from_rank_zero(os.getpid()), os.getpid()]

    result = fit(loop, train_loop_config={"steps": 3}, workers=3)
    assert result.metrics["step"] == 2 and result.metrics["rank"] == 0 and result.metrics["training_iteration"] == 3
    assert list(result.metrics_dataframe["step"]) == [0, 1, 2]
    assert result.return_value[:6] == [0, 3, 0, 3, 0, "run"] and result.return_value[6] == result.return_value[7]
    assert Result.from_path(result.path).metrics["step"] == 2


def test_a_function_without_a_config_and_a_coroutine() -> None:
    async def loop() -> str:
        await train.report({"loss": 1.0})
        return "done"

    result = fit(loop)
    assert (result.metrics["loss"], result.return_value) == (1.0, "done")


def test_files_of_all_workers_make_one_checkpoint() -> None:
    def loop() -> None:
        assert train.get_checkpoint() is None
        for epoch in range(3):
            save(epoch)
            stored = train.get_checkpoint()
            assert stored is not None and saved(stored.path) == {"rank0": str(epoch), "rank1": str(epoch)}

    keep = CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="epoch", checkpoint_score_order="min")
    result = fit(loop, run=RunConfig(name="run", checkpoint_config=keep), metadata={"kind": "test"})
    assert result.checkpoint is not None and result.checkpoint.path.endswith("checkpoint_000002")
    assert saved(result.checkpoint.path) == {"rank0": "2", "rank1": "2"}
    assert result.checkpoint.get_metadata() == {"kind": "test"}
    # The best two and the latest.
    assert [metrics["epoch"] for _, metrics in result.best_checkpoints] == [0, 1, 2]
    assert sorted(os.listdir(result.path)) == [f"checkpoint_00000{n}" for n in range(3)] + ["result.json"]
    again = fit(lambda: train.report({"epoch": 7, "from": train.get_checkpoint().path}))  # type: ignore[union-attr]
    assert again.metrics["from"] == result.checkpoint.path and again.metrics["training_iteration"] == 4


def test_one_rank_alone_may_save() -> None:
    def loop() -> None:
        if train.get_context().get_world_rank() == 1:
            save(5)
        else:
            train.report({"epoch": 4})

    result = fit(loop)
    assert result.metrics["epoch"] == 4 and result.checkpoint is not None
    assert saved(result.checkpoint.path) == {"rank1": "5"}


def test_a_worker_that_raises_is_named_with_its_rank_and_its_code() -> None:
    def loop() -> None:
        if train.get_context().get_world_rank() == 1:
            raise ValueError("bad batch")
        barrier()

    with pytest.raises(WorkerGroupError) as caught:
        fit(loop)
    assert "the worker of rank 1 (of 2) failed in training" in str(caught.value)
    assert "bad batch" in str(caught.value) and "test_data_parallel_trainer.py" in str(caught.value)
    assert list(caught.value.worker_failures) == [1] and isinstance(caught.value.worker_failures[1], ValueError)
    assert isinstance(caught.value, train.TrainingFailedError)


def test_a_worker_that_dies_ends_the_others_too() -> None:
    def loop(config: dict[str, Any]) -> None:
        pid = broadcast_from_rank_zero(os.getpid())
        if train.get_context().get_world_rank() == 0:
            Path(config["folder"], "pid").write_text(str(pid))
            barrier()  # nobody else comes
        os.kill(os.getpid(), signal.SIGKILL)

    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(WorkerGroupError, match=r"the worker of rank 1 \(of 2\) died in training") as caught:
            fit(loop, train_loop_config={"folder": folder})
        other = int(Path(folder, "pid").read_text())
    assert list(caught.value.worker_failures) == [1]
    with pytest.raises(ProcessLookupError):
        while True:
            os.kill(other, 0)


def test_failures_that_are_allowed_go_on_from_the_latest_checkpoint(tmp_path: Path) -> None:
    heard: list[Any] = []

    class Listener(UserCallback):
        def after_report(self, run_context: Any, metrics: Any, checkpoint: Any) -> None:
            heard.append(([one["epoch"] for one in metrics], checkpoint is not None))

        def after_exception(self, run_context: Any, worker_exceptions: Any) -> None:
            heard.append(sorted(worker_exceptions))

    def loop(config: dict[str, Any]) -> None:
        start = train.get_checkpoint()
        first = int(saved(start.path)["rank0"]) + 1 if start is not None else 0
        for epoch in range(first, 4):
            if epoch == 2 and train.get_context().get_world_rank() == 1 and first == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if epoch % 2:
                save(epoch, tmp_path)
            else:
                train.report({"epoch": epoch})

    run = RunConfig(name="run", failure_config=FailureConfig(max_failures=1), callbacks=[Listener()])
    result = fit(loop, run=run, train_loop_config={})
    assert list(result.metrics_dataframe["epoch"]) == [0, 1, 2, 3]
    assert list(result.metrics_dataframe["training_iteration"]) == [1, 2, 3, 4]
    assert heard == [([0, 0], False), ([1, 1], True), [1], ([2, 2], False), ([3, 3], True)]


def test_workers_that_do_not_do_the_same() -> None:
    def loop() -> None:
        if train.get_context().get_world_rank() == 0:
            train.report({"a": 1})

    with pytest.raises(RuntimeError, match=r"rank 0 is at report\(\), rank 1 is at its end"):
        fit(loop)


def test_datasets_are_divided_or_whole() -> None:
    def loop() -> None:
        part = sorted(row["id"] for row in train.get_dataset_shard("train").iter_rows())
        whole = sorted(row["id"] for row in train.get_dataset_shard("all").iter_rows())
        with pytest.raises(KeyError, match="no dataset 'other'"):
            train.get_dataset_shard("other")
        rank = train.get_context().get_world_rank()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, f"rank{rank}").write_text(f"{part}")
            train.report({"whole": whole}, checkpoint=train.Checkpoint(folder))

    numbers = ray.data.range(8, override_num_blocks=4)
    result = fit(
        loop, datasets={"train": numbers, "all": numbers}, dataset_config=train.DataConfig(datasets_to_split=["train"])
    )
    assert result.metrics["whole"] == list(range(8)) and result.checkpoint is not None
    parts = [eval(text) for text in saved(result.checkpoint.path).values()]
    assert sorted(parts[0] + parts[1]) == list(range(8)) and len(parts[0]) == 4


def test_what_cannot_run_is_said_at_once() -> None:
    with pytest.raises(TrainingFailedError, match=r"no node can ever hold such a worker: it takes \{'CPU': 99\}"):
        DataParallelTrainer(print, scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 99})).fit()
    with pytest.raises(TrainingFailedError, match="the cluster can never hold these workers"):
        fit(print, workers=5)
    with pytest.raises(ValueError, match="takes nothing or a config, but takes"):
        DataParallelTrainer(lambda a, b: None)
    with pytest.raises(ValueError, match="num_workers is a number above 0"):
        ScalingConfig(num_workers=0).as_placement_group_factory()
    with pytest.raises(RuntimeError, match="outside of the training function of a trainer"):
        barrier()
    with pytest.raises(RuntimeError, match="outside of the training function of a trainer"):
        train.get_dataset_shard()


def test_a_store_counts_reports_behind_the_latest_checkpoint_once(tmp_path: Path) -> None:
    store = RunStore(str(tmp_path / "run"), CheckpointConfig())
    store.report({"a": 1}, None)
    name, folder = store.new_checkpoint()
    store.report_stored({"a": 2}, name, folder, False)
    store.report({"a": 3}, None)
    with open(tmp_path / "run" / "result.json", "a") as file:
        file.write('{"a": 4, "training')  # the process was killed here
    again = RunStore(str(tmp_path / "run"), CheckpointConfig())
    again.begin()
    again.report({"a": 30}, None)
    assert [row["a"] for row in again.result().metrics_dataframe.to_dict("records")] == [1, 2, 30]
    assert [row["training_iteration"] for row in again.rows] == [1, 2, 3]
