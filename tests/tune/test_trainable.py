"""Trainable classes: steps, checkpoints, ends, and what wraps trainables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async import tune
from ray_async.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from tests.tune.test_tuner import fit, only

pytestmark = pytest.mark.usefixtures("session")


class Counter(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.n = 0
        self.log = config.get("log")

    def step(self) -> dict[str, Any]:
        self.n += 1
        return {"n": self.n, "done": self.n >= self.config.get("until", 3)}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"n": self.n}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.n = checkpoint["n"]

    def cleanup(self) -> None:
        if self.log:
            with open(self.log, "a") as file:
                file.write("cleanup ")


class Plain(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"n": self.iteration + 1, "done": self.iteration == 1}


class Fragile(Counter):
    def step(self) -> dict[str, Any]:
        if self.n == 4 and not Path(self.config["mark"]).exists():
            Path(self.config["mark"]).touch()
            raise RuntimeError("once")
        return super().step()


def test_a_class_by_hand(tmp_path: Path) -> None:
    counter = Counter({"until": 9})
    assert [counter.train()["n"] for _ in range(3)] == [1, 2, 3]
    counter.save(str(tmp_path))
    other = Counter()
    other.restore(str(tmp_path))
    assert (other.iteration, other.train()["n"]) == (3, 4)


def test_done_ends_a_trial_and_cleanup_runs_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = only(fit(Counter, {"until": 3, "log": str(log)}))
    assert result.error is None and result.checkpoint is None
    assert list(result.metrics_dataframe["n"]) == [1, 2, 3] and result.metrics["done"]
    assert log.read_text() == "cleanup "


def test_a_class_that_cannot_be_saved_needs_no_checkpoint() -> None:
    result = only(fit(Plain))
    assert result.error is None and result.metrics["n"] == 2


def test_checkpoints_at_intervals_and_at_the_end() -> None:
    def names(**checkpoint: Any) -> list[str]:
        run = RunConfig(checkpoint_config=CheckpointConfig(**checkpoint))
        result = only(fit(Counter, {"until": 5}, run))
        return [f"{Path(saved.path).name}:{metrics['n']}" for saved, metrics in result.best_checkpoints]

    assert names(checkpoint_frequency=2) == ["checkpoint_000000:2", "checkpoint_000001:4"]
    assert names(checkpoint_frequency=2, checkpoint_at_end=True)[-1] == "checkpoint_000002:5"
    assert names(checkpoint_at_end=True) == ["checkpoint_000000:5"]


def test_a_stopped_class_is_saved_at_its_end() -> None:
    run = RunConfig(stop={"n": 4}, checkpoint_config=CheckpointConfig(checkpoint_at_end=True))
    result = only(fit(Counter, {"until": 100}, run))
    assert result.metrics["n"] == 4 and result.checkpoint is not None
    other = Counter()
    other.restore(result.checkpoint)
    assert other.n == 4


def test_a_failed_class_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    run = RunConfig(
        failure_config=FailureConfig(max_failures=1), checkpoint_config=CheckpointConfig(checkpoint_frequency=3)
    )
    result = only(fit(Fragile, {"until": 6, "mark": str(tmp_path / "mark")}, run))
    assert result.error is None
    assert list(result.metrics_dataframe["training_iteration"]) == [1, 2, 3, 4, 5, 6]
    assert list(result.metrics_dataframe["n"]) == [1, 2, 3, 4, 5, 6]
    assert list(result.metrics_dataframe["iterations_since_restore"]) == [1, 2, 3, 1, 2, 3]


class Reused(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.setups = getattr(self, "setups", 0) + 1

    def step(self) -> dict[str, Any]:
        return {"me": id(self), "a": self.config["a"], "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True


def test_objects_are_used_again() -> None:
    grid = fit(Reused, {"a": tune.grid_search(list(range(6)))}, reuse_actors=True, max_concurrent_trials=1)
    assert [result.metrics["a"] for result in grid] == list(range(6))
    assert len({(result.metrics["pid"], result.metrics["me"]) for result in grid}) == 1


def test_a_step_that_returns_no_dict() -> None:
    class Wrong(tune.Trainable):
        def step(self) -> Any:
            return 5

    error = only(fit(Wrong)).error
    assert isinstance(error, ValueError) and "step() must return a dict" in str(error)


def test_large_objects_are_stored_once_and_read_only() -> None:
    def train(config: dict[str, Any], data: Any, factor: int) -> dict[str, Any]:
        return {"sum": float(data.sum()) * factor, "writeable": data.flags.writeable}

    wrapped = tune.with_parameters(train, data=np.ones(200_000), factor=2)
    grid = fit(wrapped, num_samples=3)
    assert [result.metrics["sum"] for result in grid] == [400_000.0] * 3
    assert not any(result.metrics["writeable"] for result in grid)


def test_parameters_of_a_class() -> None:
    class Sized(tune.Trainable):
        def setup(self, config: dict[str, Any], data: Any = None) -> None:
            self.size = len(data)

        def step(self) -> dict[str, Any]:
            return {"size": self.size, "done": True}

    assert only(fit(tune.with_parameters(Sized, data=[1, 2, 3]))).metrics["size"] == 3


@pytest.mark.parametrize(
    "resources",
    [{"cpu": 2}, {"CPU": 2}, tune.PlacementGroupFactory([{"CPU": 2}]), lambda config: {"cpu": config["cpus"]}],
)
def test_resources(resources: Any) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"cpus": tune.get_context().get_trial_resources().required_resources["CPU"]}

    assert only(fit(tune.with_resources(train, resources), {"cpus": 2})).metrics["cpus"] == 2.0


def test_trials_that_start_tasks_of_their_own() -> None:
    @ray.remote
    def child(x: int) -> int:
        return x + 1

    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"n": sum(ray.get([child.remote(1), child.remote(2)]))}

    grid = fit(train, num_samples=6)
    assert [result.metrics["n"] for result in grid] == [5] * 6


def test_registered_names() -> None:
    tune.register_trainable("counter", Counter)
    result = only(Tuner("counter", param_space={"until": 2}, tune_config=TuneConfig()).fit())
    assert result.metrics["n"] == 2 and Path(result.path).name.startswith("counter_")
