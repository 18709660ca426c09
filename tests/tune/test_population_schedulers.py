"""PB2, replays of populations, BOHB's HyperBand and changing resources: what each is for, on recorded curves."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ray_async.tune.error import TuneError
from ray_async.tune.execution.policy_files import write_policies
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.schedulers import (
    PB2,
    DistributeResources,
    DistributeResourcesToTopJob,
    HyperBandForBOHB,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
)
from ray_async.tune.schedulers.bandit_model import BanditModel
from tests.tune.simulation import Simulation

POLICY = Path(__file__).with_name("pbt_policy.txt")


@pytest.mark.parametrize("bounds", [{"lr": [1, 0]}, {"lr": 3}, {"m": {"lr": [0.1]}}, {"lr": "ab"}, {"lr": [0.5, 0.5]}])
def test_bounds_of_pb2_are_refused_by_name(bounds: Any) -> None:
    with pytest.raises(ValueError, match="lr"):
        PB2(hyperparam_bounds=bounds)


def test_pb2_stays_within_bounds_and_types() -> None:
    bounds: dict[str, Any] = {"lr": [0.1, 0.2], "m": {"k": [1, 4]}}
    scheduler = PB2("training_iteration", perturbation_interval=1, hyperparam_bounds=bounds, quantile_fraction=0.5)
    simulation = Simulation(scheduler, [[float(i + step) for step in range(8)] for i in range(4)], slots=4).run()
    assert scheduler.num_perturbations >= 6
    for trial in simulation.trials:
        assert 0.1 <= trial.config["lr"] <= 0.2
        assert type(trial.config["m"]["k"]) is int and 1 <= trial.config["m"]["k"] <= 4
    with pytest.raises(TuneError, match="hyperparam_bounds"):
        PB2()


def test_the_model_of_pb2_prefers_what_gains_and_what_is_new() -> None:
    source = np.random.default_rng(0)
    values = source.random((60, 1))
    gains = -((values[:, 0] - 0.7) ** 2)
    model = BanditModel(np.repeat(np.arange(1.0, 16.0), 4), values, gains)
    (best,) = model.best(16.0, np.zeros((0, 1)), np.random.default_rng(1))
    assert abs(best - 0.7) < 0.15
    flat = BanditModel(np.array([1.0, 1.0]), np.array([[0.0], [0.05]]), np.array([1.0, 1.0]))
    (far,) = flat.best(2.0, np.array([[1.0]]), np.random.default_rng(1))
    assert 0.2 < far < 0.95


def test_a_replay_gives_the_configs_at_their_iterations() -> None:
    scheduler = PopulationBasedTrainingReplay(POLICY)
    simulation = Simulation(scheduler, [[1.0] * 8])
    seen = {}
    simulation.start()
    while simulation.running:
        (trial_id,) = simulation.running
        seen[simulation.at[trial_id] + 1] = simulation.running[trial_id].config["lr"]
        simulation.step(trial_id)
        simulation.start()
    assert [seen[n] for n in range(1, 9)] == [1, 1, 2, 2, 3, 3, 9, 9]
    # It goes on where it was: nothing is trained twice.
    assert simulation.seen["t_00000"] == list(range(1, 9))


def test_policy_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no policy file"):
        PopulationBasedTrainingReplay(tmp_path / "missing")
    (tmp_path / "odd").write_text("hello\n")
    with pytest.raises(ValueError, match="hello"):
        PopulationBasedTrainingReplay(tmp_path / "odd")


def test_a_population_writes_what_a_replay_reads(tmp_path: Path) -> None:
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"lr": [1, 2, 4]}
    )
    simulation = Simulation(scheduler, [[float(i)] * 6 for i in range(4)], slots=4).run()
    write_policies(simulation.state, str(tmp_path))
    files = sorted(tmp_path.glob("pbt_policy_*.txt"))
    assert files and scheduler.num_perturbations >= 1
    steps = [json.loads(line) for line in files[0].read_text().splitlines()]
    assert all(len(step) == 6 and "lr" in step[5] for step in steps)
    replay = PopulationBasedTrainingReplay(files[0])
    end = Simulation(replay, [[1.0] * 6]).run().trials[0]
    trial_id = files[0].stem.removeprefix("pbt_policy_")
    assert end.config["lr"] == simulation.state.trials[trial_id].config["lr"]


def test_bohb_learns_at_milestones() -> None:
    told: list[Any] = []

    class Noted(HyperBandForBOHB):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            decision = super().on_trial_result(tune_controller, trial, result)
            told.append((result["training_iteration"], result.get("hyperband_info", {}).get("budget")))
            return decision

    Simulation(Noted(max_t=9, reduction_factor=3), [[float(i)] * 9 for i in range(9)], slots=3).run()
    assert {budget for _, budget in told if budget} == {1, 3, 9}
    assert all(budget is None or iteration == budget for iteration, budget in told)


def controller(live: list[Any]) -> Any:
    return SimpleNamespace(get_live_trials=lambda: live, cluster_resources={"CPU": 8.0, "GPU": 2.0})


def trials(count: int) -> list[Any]:
    factory = PlacementGroupFactory([{"CPU": 1, "GPU": 0.5}])
    return [
        SimpleNamespace(trial_id=str(n), placement_group_factory=factory, last_result={"v": n}) for n in range(count)
    ]


def test_resources_are_shared_evenly() -> None:
    scheduler: Any = SimpleNamespace(metric="v", _mode="max")
    for count, cpus, gpus in ((8, 1, 0.5), (4, 2, 0.5), (2, 4, 1), (1, 8, 2)):
        live = trials(count)
        found = DistributeResources()(controller(live), live[0], {}, scheduler)
        assert found is not None and found.required_resources == {"CPU": cpus, "GPU": gpus}
    live = trials(2)
    reserved = DistributeResources(reserve_resources={"CPU": 4})(controller(live), live[0], {}, scheduler)
    assert reserved is not None and reserved.required_resources == {"CPU": 2, "GPU": 1}
    stepped = DistributeResources(increase_by={"CPU": 2}, increase_by_times=1)(controller(live), live[0], {}, scheduler)
    assert stepped is not None and stepped.required_resources == {"CPU": 3, "GPU": 0.5}
    bundled = DistributeResources(add_bundles=True)(controller(live), live[0], {}, scheduler)
    assert bundled is not None and bundled.bundles == [{"CPU": 1, "GPU": 0.5}] * 2
    top = DistributeResourcesToTopJob()
    assert top(controller(live), live[0], {}, scheduler) == live[0].placement_group_factory
    best = top(controller(live), live[1], {}, scheduler)
    assert best is not None and best.required_resources == {"CPU": 7, "GPU": 1}
    with pytest.raises(ValueError, match="increase_by"):
        DistributeResources(increase_by={"CPU": 0})


def test_trials_that_are_left_take_what_is_free_and_go_on() -> None:
    scheduler = ResourceChangingScheduler(resources_allocation_function=DistributeResources())
    simulation = Simulation(scheduler, [[1.0] * 3, [1.0] * 9], slots=2).run()
    assert simulation.ends() == [3, 9] and simulation.seen["t_00001"] == list(range(1, 10))
    assert simulation.trials[1].placement_group_factory.required_resources == {"CPU": 24.0}
    assert scheduler.num_changes >= 2 and not scheduler.base_resources
