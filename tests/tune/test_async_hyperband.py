"""ASHA: at which rungs trials end."""

import random
from typing import Any

import pytest

from ray_async.tune.schedulers import ASHAScheduler, AsyncHyperBandScheduler
from tests.tune.simulation import INF, NAN, Simulation


def flat(*values: float, length: int = 10) -> list[list[float]]:
    return [[value] * length for value in values]


def ends(curves: list[list[float]], mode: str = "max", slots: int = 1, **options: Any) -> list[int]:
    scheduler = ASHAScheduler(**{"max_t": 4, "grace_period": 1, "reduction_factor": 2, **options})
    return Simulation(scheduler, curves, slots, mode).run().ends()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((4, 3, 2, 1), [4, 1, 1, 1]),
        ((1, 2, 3, 4), [4, 4, 4, 4]),
        ((1, 1, 1), [4, 4, 4]),
    ],
)
def test_one_after_the_other(values: tuple[float, ...], expected: list[int]) -> None:
    assert ends(flat(*values)) == expected
    assert ends(flat(*(-value for value in values)), mode="min") == expected


def test_max_t_ends_trials_unless_the_last_ones_go_on() -> None:
    assert ends(flat(1)) == [4]
    assert ends(flat(1), stop_last_trials=False) == [10]


def test_nan_is_the_worst_and_infinity_counts() -> None:
    assert ends(flat(NAN)) == [1]
    assert ends(flat(1, NAN, 2)) == [4, 1, 4]
    assert ends(flat(1, -INF), mode="min") == [4, 4]
    assert ends(flat(1, INF, 0.5), mode="min") == [4, 1, 4]


def test_rungs_are_exact() -> None:
    for factor in (2, 3, 4, 5):
        for power in range(1, 6):
            scheduler = AsyncHyperBandScheduler(max_t=factor**power, reduction_factor=factor)
            assert [milestone for milestone, _ in scheduler.brackets[0].rungs] == [
                factor**k for k in range(power, -1, -1)
            ]


def test_a_rung_keeps_one_of_the_reduction_factor() -> None:
    curves = [[float(i)] * 81 for i in random.Random(3).sample(range(81), 81)]
    simulation = Simulation(ASHAScheduler(max_t=81, reduction_factor=3), curves, slots=81).run()
    # All run side by side, so each rung is judged in order of arrival; the best reaches the end.
    best = max(simulation.trials, key=lambda trial: trial.last_result["v"])
    assert best.last_result["training_iteration"] == 81
    assert sum(end >= 3 for end in simulation.ends()) <= 60


def test_brackets_begin_at_later_rungs() -> None:
    scheduler = AsyncHyperBandScheduler(max_t=8, reduction_factor=2, brackets=3)
    assert [[milestone for milestone, _ in bracket.rungs] for bracket in scheduler.brackets] == [
        [8, 4, 2, 1],
        [8, 4, 2],
        [8, 4],
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"max_t": 0},
        {"max_t": 2, "grace_period": 3},
        {"grace_period": 0},
        {"reduction_factor": 1},
        {"brackets": 0},
        {"mode": "best"},
    ],
)
def test_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        ASHAScheduler(**options)


def test_without_a_metric_it_says_so() -> None:
    scheduler = ASHAScheduler()
    with pytest.raises(ValueError, match="metric and mode"):
        scheduler.on_trial_add(None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "iterations"),
    [
        ({"max_t": 9, "reduction_factor": 3}, (1, 3, 9)),
        ({"max_t": 10, "reduction_factor": 3, "grace_period": 2}, (2, 6, 10)),
        ({"max_t": 10, "reduction_factor": 3, "stop_last_trials": False}, (1, 3, 9)),
        ({"max_t": 8, "reduction_factor": 1.5, "grace_period": 2.5}, (3, 4, 6, 8)),
        ({"max_t": 9, "time_attr": "steps"}, None),
    ],
)
def test_trials_end_at_iterations_that_are_known_before(options: dict[str, Any], iterations: Any) -> None:
    source = random.Random(5)
    curves = [[source.random() for _ in range(12)] for _ in range(30)]
    simulation = Simulation(ASHAScheduler(**options), curves, slots=4)
    simulation.start()
    assert {order.verdicts_at for order in simulation.running.values()} == {iterations}
    ends = set(simulation.run().ends())
    assert iterations is None or ends <= {*iterations, 12}


def test_who_judges_otherwise_judges_at_any_iteration() -> None:
    class Strict(ASHAScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            return self.STOP

    for scheduler, stop in ((Strict(), None), (ASHAScheduler(), {"v": 3})):
        simulation = Simulation(scheduler, flat(1, 2), stop=stop)
        simulation.start()
        assert [order.verdicts_at for order in simulation.running.values()] == [None]
