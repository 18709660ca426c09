"""Population based training: whose weights, whose settings, and nobody waits for ever."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.air.config import CheckpointConfig
from ray_async.tune import Checkpoint, RunConfig
from ray_async.tune.execution.effects import CheckpointRemoved, ConfigChanged
from ray_async.tune.schedulers import PopulationBasedTraining
from ray_async.tune.schedulers.explore import explored
from tests.tune.simulation import Simulation
from tests.tune.test_tuner import fit

MUTATIONS = {
    "f": tune.uniform(0.1, 0.9),
    "q": tune.quniform(0, 1, 0.25),
    "log": tune.loguniform(1e-4, 1e-1),
    "i": tune.randint(1, 9),
    "qi": tune.qrandint(8, 64, 8),
    "c": tune.choice(["a", "b", "c"]),
    "list": [1, 2, 4, 8],
    "deep": {"x": tune.uniform(0, 1)},
}


def test_explored_values_stay_valid() -> None:
    source = random.Random(3)
    config: dict[str, Any] = {
        "f": 0.5, "q": 0.5, "log": 1e-2, "i": 4, "qi": 16, "c": "b", "list": 2, "deep": {"x": 0.5, "y": 1}, "z": 0,
    }  # fmt: skip
    seen: dict[str, set[Any]] = {name: set() for name in MUTATIONS}
    for _ in range(1000):
        before = dict(config)
        new, changed = explored(config, MUTATIONS, 0.25, (1.2, 0.8), source)
        assert config == before and set(changed) == {*MUTATIONS, "deep/x"} - {"deep"}
        config = new
        for name, domain in MUTATIONS.items():
            if isinstance(domain, tune.search.sample.Domain):
                assert domain.is_valid(config[name]), name
                seen[name].add(config[name])
        assert config["q"] % 0.25 == 0 and config["qi"] % 8 == 0 and 1 <= config["i"] <= 8
        assert type(config["i"]) is type(config["qi"]) is int and type(config["f"]) is float
        assert config["list"] in (1, 2, 4, 8) and 0 <= config["deep"]["x"] <= 1 and config["deep"]["y"] == 1
    assert seen["c"] == {"a", "b", "c"} and seen["i"] == set(range(1, 9))


def test_a_list_moves_to_a_neighbour_and_functions_are_not_bounded() -> None:
    source = random.Random(1)
    for _ in range(50):
        new, _ = explored({"a": 4, "b": 10}, {"a": [1, 2, 4, 8], "b": lambda: 1}, 0.0, (2.0,), source)
        assert new["a"] in (2, 8) and new["b"] == 20


def population(**options: Any) -> PopulationBasedTraining:
    options = {"time_attr": "training_iteration", "perturbation_interval": 2, "quantile_fraction": 0.5, **options}
    return PopulationBasedTraining(hyperparam_mutations={"lr": [1, 2, 4]}, **options)


def test_the_weak_go_on_from_the_strong() -> None:
    simulation = Simulation(population(), [[float(i)] * 8 for i in range(2)], slots=2)
    simulation.run()
    changes = [effect.trial for effect in simulation.effects if isinstance(effect, ConfigChanged)]
    assert changes and {trial.config["i"] for trial in changes} == {1}
    assert all("@perturbed[lr=" in trial.experiment_tag for trial in changes)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("burn_in", [0, 1, 3, 5])
def test_synchronous_populations_end_together(burn_in: int, slots: int) -> None:
    scheduler = population(synch=True, burn_in_period=burn_in)
    simulation = Simulation(scheduler, [[float(i)] * 8 for i in range(4)], slots=slots, stop={"training_iteration": 8})
    simulation.run()
    assert simulation.ends() == [8] * 4
    assert scheduler.num_perturbations > 0


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("end", ["end", ValueError("x")])
@pytest.mark.parametrize("at", range(8))
def test_nobody_waits_for_a_member_that_is_gone(end: Any, at: int, slots: int) -> None:
    curves: list[list[Any]] = [[float(i)] * 8 for i in range(4)]
    curves[2] = [*curves[2][:at], end]
    simulation = Simulation(population(synch=True), curves, slots=slots, stop={"training_iteration": 8}).run()
    assert {trial.status for trial in simulation.trials} <= {"TERMINATED", "ERROR"}
    assert sum(end == 8 for end in simulation.ends()) >= 3


def test_a_donors_checkpoint_lives_until_it_is_loaded() -> None:
    keep = CheckpointConfig(num_to_keep=1)
    simulation = Simulation(population(), [[float(i)] * 60 for i in range(4)], slots=2, checkpoint=keep)
    simulation.run()
    gone: set[str] = set()
    for trial in simulation.trials:
        assert not trial.checkpoints.pinned and len(trial.checkpoints.records) == 1
    for effect in simulation.effects:
        if isinstance(effect, CheckpointRemoved):
            gone.add(effect.record.checkpoint.path)
    assert gone and not gone & {trial.checkpoint.path for trial in simulation.trials if trial.checkpoint}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, tune.TuneError),
        ({"hyperparam_mutations": {"a": [1]}, "quantile_fraction": 0.6}, ValueError),
        ({"hyperparam_mutations": {"a": [1]}, "quantile_fraction": -0.1}, ValueError),
        ({"hyperparam_mutations": {"a": [1]}, "perturbation_interval": 0}, ValueError),
        ({"hyperparam_mutations": {"a": 5}}, TypeError),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        PopulationBasedTraining(**options)


@pytest.mark.usefixtures("session")
def test_the_first_checkpoint_after_an_exploit_is_the_donors() -> None:
    def train(config: dict[str, Any]) -> None:
        start, origin = 0, None
        if (checkpoint := tune.get_checkpoint()) is not None:
            with checkpoint.as_directory() as folder:
                origin, saved, _ = Path(folder, "state").read_text().split()
                start = int(saved)
        mine = tune.get_context().get_trial_id()
        for step in range(start + 1, 21):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "state").write_text(f"{mine} {step} {config['lr']}")
                metrics = {"score": config["rank"] * 100 + step, "lr": config["lr"], "origin": origin, "step": step}
                tune.report(metrics, checkpoint=Checkpoint.from_directory(folder))
            origin = mine

    scheduler = population(quantile_fraction=0.25)
    run = RunConfig(checkpoint_config=CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="score"))
    space = {"rank": tune.grid_search([0, 1, 2, 3]), "lr": 1}
    grid = fit(train, space, run, metric="score", mode="max", scheduler=scheduler, max_concurrent_trials=2)
    assert grid.num_errors == 0, grid.errors
    assert scheduler.num_perturbations > 0
    for result in grid:
        assert result.metrics["step"] == result.metrics["training_iteration"] == 20
        assert result.metrics["config"]["lr"] == result.metrics["lr"]
        assert len(list(Path(result.path).glob("checkpoint_*"))) <= 2


class Grower(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.value = 0.0

    def step(self) -> dict[str, Any]:
        self.value += self.config["lr"]
        return {"value": self.value, "lr": self.config["lr"]}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"value": self.value}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.value = checkpoint["value"]


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("synch", [False, True])
def test_classes_are_saved_when_they_are_wanted(synch: bool) -> None:
    scheduler = population(synch=synch)
    run = RunConfig(stop={"training_iteration": 12})
    space = {"lr": tune.grid_search([1, 2, 4])}
    # One by one: those that are not synchronous then go on in turns, and not as the machine would have it.
    grid = fit(Grower, space, run, metric="value", mode="max", scheduler=scheduler, max_concurrent_trials=1)
    assert grid.num_errors == 0, grid.errors
    assert scheduler.num_perturbations > 0
    assert [result.metrics["training_iteration"] for result in grid] == [12] * 3
    # A weak one that goes on from the strongest has more than its own rate could give.
    assert min(result.metrics["value"] for result in grid) > 12
