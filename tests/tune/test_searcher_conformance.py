"""Searchers: the conformance suite that each passes, those around libraries where these are installed."""

import importlib
import importlib.util
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from ray_async import tune
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.tune.search import ConcurrencyLimiter, Repeater, Searcher
from ray_async.tune.search.optuna import OptunaSearch
from ray_async.tune.search.search_generator import SearchGenerator
from tests.tune.simulation import Simulation

optuna.logging.set_verbosity(optuna.logging.WARNING)

LISTS: list[Any] = [[1], [1, 2]]
SPACE: dict[str, Any] = {
    "m": {"lr": tune.loguniform(1e-3, 1.0), "drop": tune.quniform(0, 0.5, 0.25)},
    "layers": tune.randint(1, 4),
    "size": tune.qrandint(8, 32, 8),
    "kind": tune.choice(["a", "b", None, 3]),
    "shape": tune.choice([*LISTS, (3,), {"k": 1}, len]),
    "fixed": 7,
    "late": tune.sample_from(lambda config: config["layers"] * 2),
}


def library(room: str, kind: str, **fixed: Any) -> Callable[..., Searcher]:
    def make(**options: Any) -> Searcher:
        module = importlib.import_module(f"ray_async.tune.search.{room}")
        made: Searcher = getattr(module, kind)(**fixed, **options)
        return made

    return make


# Each with the packages that it needs.
ALL: dict[str, tuple[tuple[str, ...], Callable[..., Searcher]]] = {
    "optuna": ((), lambda **options: OptunaSearch(seed=1, **options)),
    "optuna, random": ((), lambda **options: OptunaSearch(sampler=optuna.samplers.RandomSampler(seed=1), **options)),
    "limited": ((), lambda **options: ConcurrencyLimiter(OptunaSearch(seed=1, **options), 100)),
    "limited, batch": ((), lambda **options: ConcurrencyLimiter(OptunaSearch(seed=1, **options), 100, batch=True)),
    "hyperopt": (("hyperopt",), library("hyperopt", "HyperOptSearch", random_state_seed=1, n_initial_points=4)),
    "bayesopt": (("bayes_opt",), library("bayesopt", "BayesOptSearch", random_search_steps=6, skip_duplicate=False)),
    "nevergrad": (("nevergrad",), library("nevergrad", "NevergradSearch", optimizer="OnePlusOne", seed=1)),
    "zoopt": (("zoopt",), library("zoopt", "ZOOptSearch", budget=40, parallel_num=20, seed=1)),
    "bohb": (("hpbandster",), library("bohb", "TuneBOHB", seed=1)),
    "smac": (("smac",), library("smac", "SMACSearch", n_trials=40)),
    "ax": (("ax",), library("ax", "AxSearch", seed=1)),
}


# What the libraries warn of when they are imported, or of each other's older names, is not theirs who search.
QUIET = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[pytest.param(name, marks=[QUIET] if packages else []) for name, (packages, _) in ALL.items()])
def make(request: pytest.FixtureRequest) -> Any:
    packages, made = ALL[request.param]
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return made


def begun(searcher: Searcher, space: dict[str, Any] | None = None, num_samples: int = 100) -> SearchGenerator:
    generator = SearchGenerator(searcher)
    space = SPACE if space is None else space
    assert generator.set_search_properties("loss", "min", space)
    generator.setup(space, num_samples, "t")
    return generator


def test_configs_are_whole_valid_and_of_python_types(make: Any) -> None:
    generator = begun(make())
    for _ in range(10):
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        config = suggestion.config
        assert set(config) == set(SPACE) and set(config["m"]) == {"lr", "drop"}
        assert type(config["m"]["lr"]) is float and 1e-3 <= config["m"]["lr"] <= 1
        assert config["m"]["drop"] in (0.0, 0.25, 0.5)
        assert type(config["layers"]) is int and 1 <= config["layers"] <= 3
        assert config["size"] in (8, 16, 24, 32) and config["kind"] in ("a", "b", None, 3)
        assert config["shape"] in ([1], [1, 2], (3,), {"k": 1}, len)
        assert (config["fixed"], config["late"]) == (7, config["layers"] * 2)
        generator.on_trial_complete(suggestion.trial_id, {"loss": 1.0})


def test_points_come_first_flat_or_nested(make: Any) -> None:
    points = [{"m": {"lr": 0.1}, "shape": {"k": 1}}, {"m/lr": 0.2, "kind": None}]
    generator = begun(make(points_to_evaluate=points))
    first, second = generator.next_suggestion(), generator.next_suggestion()
    assert first is not None and second is not None
    assert (first.config["m"]["lr"], first.config["shape"]) == (0.1, {"k": 1})
    assert (second.config["m"]["lr"], second.config["kind"]) == (0.2, None)


def test_points_come_in_the_types_of_their_domains(make: Any) -> None:
    space = {"x": tune.uniform(0, 2), "k": tune.randint(0, 9)}
    generator = begun(make(points_to_evaluate=[{"x": 1, "k": np.int64(3)}, {"x": np.float64(0.5), "k": 4.0}]), space)
    first, second = generator.next_suggestion(), generator.next_suggestion()
    assert first is not None and second is not None
    assert [repr(one.config) for one in (first, second)] == ["{'x': 1.0, 'k': 3}", "{'x': 0.5, 'k': 4}"]


def test_a_point_that_does_not_fit_is_refused_by_name(make: Any) -> None:
    with pytest.raises(ValueError, match="rate"):
        begun(make(points_to_evaluate=[{"m": {"rate": 0.1}}]))


def test_grids_are_refused_by_name(make: Any) -> None:
    with pytest.raises(ValueError, match="'a/g'"):
        begun(make(), {"a": {"g": tune.grid_search([1, 2])}})


def test_metric_and_space_given_twice_are_not_taken(make: Any) -> None:
    assert not make(metric="x", mode="min").set_search_properties("loss", "min", SPACE)


def test_it_is_pickled_before_a_search(make: Any) -> None:
    searcher = pickle.loads(pickle.dumps(make()))
    assert begun(searcher, {"x": tune.uniform(0, 1)}).next_suggestion() is not None


def test_odd_ends_leave_it_usable(make: Any) -> None:
    generator = begun(make(), {"x": tune.uniform(0, 1)})
    results: list[Any] = [{"loss": float("nan")}, {"loss": float("inf")}, None, {"other": 1}, {"loss": 2}]
    for result in results * 3:
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        generator.on_trial_complete(suggestion.trial_id, result)
    failed = generator.next_suggestion()
    assert failed is not None
    generator.on_trial_complete(failed.trial_id, {"loss": 1}, error=True)
    generator.on_trial_complete("unknown", {"loss": 1})
    assert generator.next_suggestion() is not None


def test_all_that_is_given_comes_back_to_the_library(make: Any) -> None:
    points = [{"x": 0.25, "c": [1, 2]}, {"x": 0.5}]
    generator = begun(make(points_to_evaluate=points), {"x": tune.uniform(0, 1), "c": tune.choice([[1], [1, 2]])})
    first, second, third = (generator.next_suggestion() for _ in range(3))
    assert first is not None and second is not None and third is not None
    assert (first.config, second.config["x"]) == (points[0], 0.5)
    assert 0 <= third.config["x"] <= 1
    for number, one in enumerate((second, third, first)):
        generator.on_trial_complete(one.trial_id, {"loss": number})
    assert generator.next_suggestion() is not None


def test_a_trial_that_changes_its_config_changes_no_other(make: Any) -> None:
    # With a float, as some libraries look long for what they have not suggested yet.
    points = [{"c": [1], "x": 0.25}, {"c": [1], "x": 0.5}]
    generator = begun(make(points_to_evaluate=points), {"c": tune.choice([[1], {"k": [2]}]), "x": tune.uniform(0, 1)})
    for _ in range(8):
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        assert suggestion.config["c"] in ([1], {"k": [2]})
        (suggestion.config["c"] if isinstance(suggestion.config["c"], list) else suggestion.config["c"]["k"]).append(3)
        generator.on_trial_complete(suggestion.trial_id, {"loss": 1.0})


def walked(generator: SearchGenerator, count: int) -> list[dict[str, Any]]:
    configs = []
    for _ in range(count):
        suggestion = generator.next_suggestion()
        assert suggestion is not None
        configs.append(suggestion.config)
        generator.on_trial_complete(suggestion.trial_id, {"loss": (suggestion.config["x"] - 0.3) ** 2})
    return configs


XS: dict[str, Any] = {"x": tune.uniform(0, 1), "n": {"k": tune.randint(0, 50)}}


def test_a_seed_gives_the_same_configs_whatever_else_draws(make: Any) -> None:
    first = walked(begun(make(), XS), 8)
    np.random.seed(123)
    assert walked(begun(make(), XS), 8) == first
    assert len({config["x"] for config in first}) > 4


def test_a_restored_search_goes_on_as_the_whole_one(make: Any) -> None:
    """Replayed from what a journal has, told of what had ended: nothing comes twice."""
    pristine = pickle.dumps(make(points_to_evaluate=[{"x": 0.5}]))
    whole, cut = (begun(pickle.loads(pristine), XS) for _ in range(2))
    made = []
    for number in range(7):
        suggestion = whole.next_suggestion()
        assert suggestion is not None
        made.append(suggestion)
        if number < 6:
            whole.on_trial_complete(suggestion.trial_id, {"loss": float(number)})
    for number, suggestion in enumerate(made):
        cut.replay(suggestion)
        if number < 6:
            cut.on_trial_complete(suggestion.trial_id, {"loss": float(number)})
    following = cut.next_suggestion()
    assert following is not None and following.trial_id == "t_00007"
    assert following.config not in [one.config for one in made]


def test_state_is_saved_and_restored(make: Any, tmp_path: Any) -> None:
    searcher = make()
    generator = begun(searcher, XS)
    walked(generator, 5)
    live = generator.next_suggestion()
    assert live is not None
    searcher.save_to_dir(str(tmp_path))
    other = make()
    other.restore_from_dir(str(tmp_path))
    # What was live is known, and can be told to either.
    for one in (searcher, other):
        one.on_trial_complete(live.trial_id, {"loss": 1.0})
    assert searcher.suggest("next") == other.suggest("next")


def test_a_scheduler_stops_trials_and_each_is_told_once(make: Any) -> None:
    told: list[str] = []

    class Source(SearchGenerator):
        def setup(self, space: Any, num_samples: int, prefix: str) -> None:
            assert self.set_search_properties("v", "max", {"x": tune.uniform(0, 1)})
            super().setup({"x": tune.uniform(0, 1)}, 12, prefix)

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            told.append(trial_id)
            super().on_trial_complete(trial_id, result, error)

        def on_trial_stopped(self, trial_id: str, result: Any = None) -> None:
            told.append(trial_id)
            super().on_trial_stopped(trial_id, result)

    curves: list[list[Any]] = [[float(i % 5)] * 4 if i % 4 else [1.0, ValueError("x")] for i in range(12)]
    scheduler = ASHAScheduler(max_t=4, reduction_factor=2)
    simulation = Simulation(scheduler, curves, slots=3, source=Source(make())).run()
    assert sorted(told) == sorted(trial.trial_id for trial in simulation.trials) and len(told) == 12


def test_it_works_inside_of_both_wrappers(make: Any) -> None:
    inner = make()
    generator = begun(Repeater(ConcurrencyLimiter(inner, 2), repeat=2, set_index=False), XS, 8)
    waiting: list[Any] = []
    ended = 0
    while not generator.is_finished():
        suggestion = generator.next_suggestion()
        if suggestion is not None:
            waiting.append(suggestion)
            assert len(waiting) <= 4
            continue
        assert waiting, "nothing is live, and nothing is suggested"
        generator.on_trial_complete(waiting.pop(0).trial_id, {"loss": float(ended)})
        ended += 1
    assert ended + len(waiting) == 8
