"""Searchers: Optuna's own answers, and the wrappers around searchers."""

import pickle
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from ray_async import tune
from ray_async.tune import RunConfig, TuneConfig, Tuner
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.tune.search import ConcurrencyLimiter, Repeater, Searcher, create_searcher
from ray_async.tune.search.optuna import OptunaSearch
from ray_async.tune.search.search_generator import SearchGenerator
from tests.tune.simulation import Simulation
from tests.tune.test_tuner import fit

optuna.logging.set_verbosity(optuna.logging.WARNING)


def begun(searcher: Searcher, space: dict[str, Any], num_samples: int = 100) -> SearchGenerator:
    generator = SearchGenerator(searcher)
    assert generator.set_search_properties("loss", "min", space)
    generator.setup(space, num_samples, "t")
    return generator


def test_a_restored_one_knows_what_was_told() -> None:
    pristine = pickle.dumps(OptunaSearch(seed=1, points_to_evaluate=[{"x": 0.5}]))
    space = {"x": tune.uniform(0, 1), "c": tune.choice([[1], "b"])}
    first, second = (begun(pickle.loads(pristine), space) for _ in range(2))
    for number in range(7):
        suggestion = first.next_suggestion()
        assert suggestion is not None
        second.replay(suggestion)
        if number < 6:
            for generator in (first, second):
                generator.on_trial_complete(suggestion.trial_id, {"loss": number})
    following = second.next_suggestion()
    assert following is not None and following.trial_id == "t_00007"
    searcher: Any = second.searcher
    study = getattr(searcher, "searcher", searcher).study
    other: Any = first.searcher
    expected = getattr(other, "searcher", other).study
    assert [t.params for t in study.trials[:7]] == [t.params for t in expected.trials]
    assert [t.values for t in study.trials[:7]] == [t.values for t in expected.trials]


def states(searcher: OptunaSearch) -> list[TrialState]:
    return [trial.state for trial in searcher.study.trials]


def test_how_trials_are_told_to_optuna() -> None:
    searcher = OptunaSearch(space={"i": tune.randint(0, 4)}, metric="v", mode="max", seed=1)
    curves: list[list[Any]] = [[4.0] * 8, [1.0] * 8, [2.0, ValueError("x")], [5.0, 6.0], [float("nan")] * 8]

    class Source(SearchGenerator):
        def setup(self, space: Any, num_samples: int, prefix: str) -> None:
            assert self.set_search_properties(None, None, {})
            super().setup({}, len(curves), prefix)

    simulation = Simulation(ASHAScheduler(max_t=4, reduction_factor=2), curves, source=Source(searcher)).run()
    trials = searcher.study.trials
    complete, pruned, failed = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
    assert states(searcher) == [complete, pruned, pruned, complete, pruned]
    assert trials[0].intermediate_values == {1: 4.0, 2: 4.0, 3: 4.0} and trials[0].value == 4.0
    assert trials[1].intermediate_values == {1: 1.0} and trials[1].value == 1.0
    assert simulation.ends() == [4, 1, 1, 2, 1] and failed not in states(searcher)


def test_optunas_own_answers_are_kept() -> None:
    searcher = OptunaSearch(space={"x": tune.uniform(0, 1)}, metric="loss", mode="min", seed=1)
    assert searcher.set_search_properties(None, None, {})
    for value, state in (
        (float("nan"), TrialState.FAIL),
        (float("inf"), TrialState.COMPLETE),
        (1, TrialState.COMPLETE),
    ):
        searcher.suggest("a")
        searcher.on_trial_complete("a", {"loss": value})
        assert states(searcher)[-1] == state
        # What comes after the end changes nothing.
        searcher.on_trial_complete("a", {"loss": 7})
        searcher.on_trial_stopped("a", {"loss": 7, "training_iteration": 1})
        assert states(searcher)[-1] == state and searcher.study.trials[-1].value in (value, None)
    for result, error in ((None, False), ({"other": 1}, False), ({"loss": "3.5"}, False), ({"loss": 1}, True)):
        searcher.suggest("a")
        searcher.on_trial_complete("a", result, error=error)
        assert states(searcher)[-1] == TrialState.FAIL and searcher.study.trials[-1].value is None
    searcher.suggest("a")
    searcher.on_trial_result("a", {"loss": 0.9, "training_iteration": 1})
    searcher.on_trial_stopped("a", {"loss": 0.7, "training_iteration": 2})
    assert (states(searcher)[-1], searcher.study.trials[-1].value) == (TrialState.PRUNED, 0.7)


def test_define_by_run_and_several_objectives() -> None:
    def space(trial: Any) -> dict[str, Any]:
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            trial.suggest_float("a/x", 0, 1)
        return {"fixed": 3}

    searcher = OptunaSearch(
        space, metric=["u", "v"], mode=["min", "max"], seed=1, points_to_evaluate=[{"kind": "a", "a/x": 0.5}]
    )
    generator = SearchGenerator(searcher)
    assert generator.set_search_properties(None, None, {})
    generator.setup({}, 20, "t")
    for number in range(10):
        suggestion = generator.next_suggestion()
        assert suggestion is not None and suggestion.config["fixed"] == 3
        if number == 0:
            assert suggestion.config == {"kind": "a", "a": {"x": 0.5}, "fixed": 3}
        assert ("a" in suggestion.config) is (suggestion.config["kind"] == "a")
        generator.on_trial_complete(suggestion.trial_id, {"u": number, "v": number})
    assert len(searcher.study.best_trials) == 10


def test_a_point_of_half_a_number_is_used_as_suggest_int_uses_it() -> None:
    generator = begun(OptunaSearch(points_to_evaluate=[{"i": 2.5}], seed=1), {"i": tune.randint(0, 9)})
    with pytest.warns(UserWarning, match="out of range"):
        suggestion = generator.next_suggestion()
    assert suggestion is not None and repr(suggestion.config) == "{'i': 2}"


def test_points_with_rewards_are_not_run() -> None:
    searcher = OptunaSearch(points_to_evaluate=[{"x": 0.5}], evaluated_rewards=[3.0], seed=1)
    begun(searcher, {"x": tune.uniform(0, 1)})
    assert [(trial.params, trial.value) for trial in searcher.study.trials] == [({"x": 0.5}, 3.0)]


class Shy(Searcher):
    """Gives nothing while three of its trials are live."""

    def __init__(self) -> None:
        super().__init__("v", "max")
        self.live: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if len(self.live) >= 3:
            return None
        self.live.add(trial_id)
        return {"x": 1}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.live.discard(trial_id)

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        return True


@pytest.mark.parametrize("batch", [True, False])
def test_a_batch_that_never_fills_ends_all_the_same(batch: bool) -> None:
    class Source(SearchGenerator):
        def setup(self, space: Any, num_samples: int, prefix: str) -> None:
            super().setup({}, 20, prefix)

    curves: list[list[Any]] = [[1.0, 2.0] if i % 3 else [1.0, ValueError("x")] for i in range(20)]
    source = Source(ConcurrencyLimiter(Shy(), 10, batch=batch))
    simulation = Simulation(ASHAScheduler(), curves, slots=6, source=source).run()
    assert len(simulation.trials) == 20


def test_a_repeater_tells_the_mean() -> None:
    searcher = OptunaSearch(seed=1)
    generator = begun(Repeater(searcher, repeat=3), {"x": tune.uniform(0, 1)}, 6)
    made = [generator.next_suggestion() for _ in range(6)]
    assert [one.config["__trial_index__"] for one in made if one] == [0, 1, 2, 0, 1, 2]
    assert len({one.config["x"] for one in made if one}) == 2
    for number, one in enumerate(made):
        assert one is not None
        generator.on_trial_complete(one.trial_id, {"loss": float(number)})
    assert [trial.value for trial in searcher.study.trials] == [1.0, 4.0]


def test_names_and_limits() -> None:
    assert isinstance(create_searcher("optuna", metric="a", mode="min", unknown=1), OptunaSearch)
    with pytest.raises(ValueError, match="nobody"):
        create_searcher("nobody")
    with pytest.raises(ValueError, match="above 0"):
        ConcurrencyLimiter(OptunaSearch(), 0)


@pytest.mark.usefixtures("session")
def test_a_search_with_optuna_restores_what_it_knew() -> None:
    def parabola(config: dict[str, Any]) -> dict[str, Any]:
        return {"loss": (config["m"]["x"] - 0.3) ** 2}

    space = {"m": {"x": tune.uniform(0, 1)}}
    grid = fit(parabola, space, metric="loss", mode="min", num_samples=15, search_alg=OptunaSearch(seed=3))
    assert (len(grid), grid.num_errors) == (15, 0)
    tuner = Tuner.restore(grid.experiment_path, parabola)
    searcher: Any = tuner._search.state.source  # type: ignore[union-attr]
    study = searcher.searcher.study
    assert len(study.trials) == 15 and all(trial.state == TrialState.COMPLETE for trial in study.trials)
    assert len(tuner.fit()) == 15


@pytest.mark.usefixtures("session")
def test_a_second_fit_is_a_search_of_its_own() -> None:
    tuner = Tuner(
        lambda config: {"loss": config["x"]},
        param_space={"x": tune.uniform(0, 1)},
        tune_config=TuneConfig(metric="loss", mode="min", scheduler=ASHAScheduler(), search_alg=OptunaSearch(seed=3)),
        run_config=RunConfig(),
    )
    first, second = tuner.fit(), tuner.fit()
    assert first.experiment_path != second.experiment_path
    assert len(Tuner.restore(second.experiment_path, lambda config: None).get_results()) == 1
