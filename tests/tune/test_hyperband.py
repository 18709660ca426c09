"""HyperBand: its arithmetic, and that every bracket comes to its end."""

import random
from typing import Any

import pytest

from ray_async.tune.schedulers.hyperband import HyperBandScheduler, milestones
from tests.tune.simulation import NAN, Simulation


@pytest.mark.parametrize("eta", [2, 3, 4])
def test_milestones_ascend_to_max_t_itself(eta: int) -> None:
    for max_t in range(1, 101):
        scheduler = HyperBandScheduler(max_t=max_t, reduction_factor=eta)
        for s in range(scheduler._s_max + 1):
            found = milestones(max_t, eta, s)
            assert found[-1] == max_t and found == sorted(set(found)) and found[0] >= 1


def test_the_brackets_of_the_paper() -> None:
    scheduler = HyperBandScheduler(max_t=81, reduction_factor=3)
    brackets = [scheduler._new_bracket() for _ in range(6)]
    assert [bracket.size for bracket in brackets] == [81, 34, 15, 8, 5, 81]
    assert [bracket.milestone for bracket in brackets] == [1, 3, 9, 27, 81, 1]


def simulate(count: int, max_t: int, eta: int, length: int | None = None, **options: Any) -> Simulation:
    curves: list[list[Any]] = [[float(i)] * (length or max_t + 20) for i in range(count)]
    random.Random(count).shuffle(curves)
    stop_last = options.pop("stop_last_trials", True)
    scheduler = HyperBandScheduler(max_t=max_t, reduction_factor=eta, stop_last_trials=stop_last)
    return Simulation(scheduler, curves, **options).run()


@pytest.mark.parametrize("stride", [1, 3, 7])
@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("eta", [2, 3, 4])
def test_no_trial_is_left_waiting(eta: int, slots: int, stride: int) -> None:
    for max_t in (1, 2, 5, 9, 16, 81, 100):
        for count in (1, 2, 3, 7, 20, 33):
            simulation = simulate(count, max_t, eta, slots=slots, stride=stride)
            assert {trial.status for trial in simulation.trials} == {"TERMINATED"}
            best = max(simulation.trials, key=lambda trial: trial.last_result["v"])
            assert best.last_result["training_iteration"] >= max_t


def test_trials_that_end_or_fail_at_random() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        curves: list[list[Any]] = []
        for i in range(20):
            curve: list[Any] = [float(i)] * 30
            if rng.random() < 0.5:
                curve[rng.randrange(30)] = rng.choice(["end", ValueError("x")])
            curves.append(curve)
        simulation = Simulation(HyperBandScheduler(max_t=27, reduction_factor=3), curves, slots=rng.choice([1, 3]))
        simulation.run()
        assert {trial.status for trial in simulation.trials} <= {"TERMINATED", "ERROR"}, seed


def test_the_last_ones_may_go_on() -> None:
    simulation = simulate(9, 9, 3, length=20, stop_last_trials=False)
    assert max(simulation.ends()) == 20


def test_the_best_of_a_bracket_goes_on() -> None:
    curves = [[float(i)] * 20 for i in (3, 9, 1, 7, 5, 8, 2, 6, 4)]
    simulation = Simulation(HyperBandScheduler(max_t=9, reduction_factor=3), curves, slots=9).run()
    by_value = {trial.last_result["v"]: trial.last_result["training_iteration"] for trial in simulation.trials}
    assert by_value == {9.0: 9, 8.0: 3, 7.0: 3, 6.0: 1, 5.0: 1, 4.0: 1, 3.0: 1, 2.0: 1, 1.0: 1}


def test_nan_is_the_worst() -> None:
    simulation = Simulation(HyperBandScheduler(max_t=3, reduction_factor=3), [[NAN] * 5, [1.0] * 5, [0.0] * 5]).run()
    assert simulation.ends() == [1, 3, 1]


@pytest.mark.parametrize("options", [{"max_t": 0}, {"reduction_factor": 1}])
def test_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        HyperBandScheduler(**options)
