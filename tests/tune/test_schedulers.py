"""Schedulers: the conformance suite that each passes, and restores that change no decision."""

import pickle
import random
from pathlib import Path
from typing import Any

import pytest

from ray_async.tune.execution import messages as m
from ray_async.tune.schedulers import (
    PB2,
    ASHAScheduler,
    DistributeResources,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    TrialScheduler,
    create_scheduler,
)
from ray_async.tune.search.search_algorithm import Suggestion
from tests.tune.simulation import NAN, Simulation


def pbt(**options: Any) -> PopulationBasedTraining:
    return PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"lr": [1, 2, 4]}, **options
    )


def pb2(**options: Any) -> PB2:
    return PB2(time_attr="training_iteration", perturbation_interval=2, hyperparam_bounds={"lr": [1.0, 4.0]}, **options)


POLICY = Path(__file__).with_name("pbt_policy.txt")

ALL = {
    "fifo": FIFOScheduler,
    "asha": lambda: ASHAScheduler(max_t=9, reduction_factor=3),
    "asha, brackets": lambda: ASHAScheduler(max_t=9, reduction_factor=3, brackets=2),
    "hyperband": lambda: HyperBandScheduler(max_t=9, reduction_factor=3),
    "median": lambda: MedianStoppingRule(time_attr="training_iteration", grace_period=2),
    "median, soft": lambda: MedianStoppingRule(time_attr="training_iteration", grace_period=2, hard_stop=False),
    "pbt": pbt,
    "pbt, synch": lambda: pbt(synch=True),
    "pbt, replayed": lambda: PopulationBasedTrainingReplay(POLICY),
    "pb2": pb2,
    "pb2, synch": lambda: pb2(synch=True),
    "hyperband for bohb": lambda: HyperBandForBOHB(max_t=9, reduction_factor=3),
    "resources change": lambda: ResourceChangingScheduler(resources_allocation_function=DistributeResources()),
    "resources change under asha": lambda: ResourceChangingScheduler(ASHAScheduler(max_t=9, reduction_factor=3)),
    "resources change under pbt": lambda: ResourceChangingScheduler(pbt()),
}


@pytest.fixture(params=ALL)
def make(request: pytest.FixtureRequest) -> Any:
    return ALL[request.param]


def noisy_curves(seed: int, count: int = 12, length: int = 9) -> list[list[Any]]:
    source = random.Random(seed)
    curves: list[list[Any]] = []
    for _ in range(count):
        level = source.random()
        curves.append([level + source.random() * 0.2 for _ in range(length)])
    return curves


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_search_ends_with_all_trials_ended(make: Any, mode: str, slots: int) -> None:
    for seed in range(5):
        simulation = Simulation(make(), noisy_curves(seed), slots, mode).run()
        assert {trial.status for trial in simulation.trials} == {"TERMINATED"}
        assert all(1 <= end <= 9 for end in simulation.ends())


def test_failures_nan_and_early_ends_leave_nobody_waiting(make: Any) -> None:
    for seed in range(10):
        source = random.Random(seed)
        curves = noisy_curves(seed)
        for curve in curves:
            curve[source.randrange(9)] = source.choice([NAN, NAN, float("inf"), "end", ValueError("x"), {"other": 1}])
        simulation = Simulation(make(), curves, slots=source.choice([1, 2, 12])).run()
        assert {trial.status for trial in simulation.trials} <= {"TERMINATED", "ERROR"}


def test_a_trial_of_nan_alone_does_not_change_the_winner(make: Any) -> None:
    curves = [[1.0] * 9, [NAN] * 9, [5.0] * 9, [2.0] * 9]
    simulation = Simulation(make(), curves, slots=4).run()
    assert simulation.ends()[2] == 9


def test_it_is_pickled_before_a_search_and_describes_itself(make: Any) -> None:
    scheduler = make()
    copy = pickle.loads(pickle.dumps(scheduler))
    assert isinstance(copy, TrialScheduler) and isinstance(copy.debug_string(), str)
    assert copy.set_search_properties("v", "max") is True
    assert copy.metric == "v"
    assert copy.set_search_properties("v", "max") is False


def recorded(simulation: Simulation, seen: list[Any]) -> None:
    """Let a simulation note all calls that its state gets, as a journal would."""
    state = simulation.state
    start, handle, add = state.start, state.handle, state._add

    def noted_add(suggestion: Suggestion) -> Any:
        seen.append(("trial", suggestion))
        return add(suggestion)

    def noted_start(trial: Any) -> None:
        seen.append(("start", trial.trial_id))
        start(trial)

    def noted_handle(facts: Any, messages: Any) -> None:
        seen.append(("messages", messages))
        handle(facts, messages)

    for name, noted in (("_add", noted_add), ("start", noted_start), ("handle", noted_handle)):
        setattr(state, name, noted)


@pytest.mark.parametrize("cut", [1, 5, 13, 40])
def test_a_restored_search_ends_its_trials_where_the_whole_one_does(make: Any, cut: int) -> None:
    for seed in range(3):
        curves = noisy_curves(seed)
        pristine = pickle.dumps(make())
        whole = Simulation(pickle.loads(pristine), curves).run()
        first = Simulation(pickle.loads(pristine), curves)
        seen: list[Any] = []
        recorded(first, seen)
        reports = 0
        while reports < cut:
            first.start()
            if not first.running:
                break
            first.step(next(iter(first.running)))
            reports += 1
        second = Simulation(pickle.loads(pristine), curves)
        for kind, what in seen:
            if kind == "trial":
                second.state.replay_trial(what)
            elif kind == "start":
                second.state.start(second.state.trials[what])
            else:
                second.state.handle(m.RunnerFacts(1, "host", "::1"), what)
            second.state.take_effects()
        second.state.begin_again("skip", "resume")
        second.run()
        assert second.ends() == whole.ends(), seed
        assert [trial.config for trial in second.trials] == [trial.config for trial in whole.trials]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fifo", FIFOScheduler),
        ("async_hyperband", ASHAScheduler),
        ("asynchyperband", ASHAScheduler),
        ("hyperband", HyperBandScheduler),
        ("median_stopping_rule", MedianStoppingRule),
        ("medianstopping", MedianStoppingRule),
        ("hb_bohb", HyperBandForBOHB),
        ("resource_changing", ResourceChangingScheduler),
    ],
)
def test_names(name: str, kind: type) -> None:
    assert type(create_scheduler(name, metric="a", unknown=3)) is kind


def test_pbt_by_name_and_unknown_names() -> None:
    assert isinstance(create_scheduler("pbt", hyperparam_mutations={"a": [1]}), PopulationBasedTraining)
    with pytest.raises(ValueError, match="asha"):
        create_scheduler("asha")


def test_a_scheduler_of_the_users_own() -> None:
    class HalfWay(TrialScheduler):
        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            return self.STOP if result["training_iteration"] >= 4 else self.CONTINUE

    assert Simulation(HalfWay(), noisy_curves(1, count=3)).run().ends() == [4] * 3
