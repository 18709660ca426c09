"""Basic variants: which configs a space gives, in which order, and again after a restart."""

import pickle
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune.search import BasicVariantGenerator
from ray_async.tune.search.search_algorithm import Suggestion


def all_of(search: BasicVariantGenerator, space: dict[str, Any], num_samples: int = 1) -> list[Suggestion]:
    search.setup(space, num_samples, "t")
    found = []
    while (suggestion := search.next_suggestion()) is not None:
        found.append(suggestion)
    assert search.is_finished()
    return found


def configs(space: dict[str, Any], num_samples: int = 1, **options: Any) -> list[dict[str, Any]]:
    return [one.config for one in all_of(BasicVariantGenerator(random_state=7, **options), space, num_samples)]


def test_grids_multiply_and_the_first_varies_fastest() -> None:
    space = {"a": tune.grid_search([1, 2]), "b": {"c": tune.grid_search(["x", "y"])}, "d": 5}
    assert [(c["a"], c["b"]["c"], c["d"]) for c in configs(space)] == [
        (1, "x", 5),
        (2, "x", 5),
        (1, "y", 5),
        (2, "y", 5),
    ]


def test_samples_repeat_the_grid_with_fresh_values() -> None:
    found = configs({"g": tune.grid_search([1, 2]), "u": tune.uniform(0, 1)}, 3)
    assert [c["g"] for c in found] == [1, 2, 1, 2, 1, 2]
    assert len({c["u"] for c in found}) == 6


def test_a_constant_grid_shares_what_a_sample_draws() -> None:
    found = configs({"g": tune.grid_search([1, 2]), "u": tune.uniform(0, 1)}, 2, constant_grid_search=True)
    assert [found[0]["u"], found[2]["u"]] == [found[1]["u"], found[3]["u"]]
    assert found[0]["u"] != found[2]["u"]


def test_functions_read_values_that_are_drawn_before() -> None:
    space = {
        "late": tune.sample_from(lambda config: config["early"] * 2),
        "early": tune.sample_from(lambda spec: spec.config.base + 1),
        "base": tune.randint(1, 5),
        "free": tune.sample_from(lambda: 9),
        "deep": {"a": tune.choice([4]), "b": tune.sample_from(lambda spec: spec.config["deep"]["a"] + 1)},
    }
    (config,) = configs(space)
    assert config["early"] == config["base"] + 1 and config["late"] == config["early"] * 2
    assert config["free"] == 9 and config["deep"]["b"] == 5


def test_functions_that_wait_for_each_other() -> None:
    space = {"a": tune.sample_from(lambda c: c["b"]), "b": tune.sample_from(lambda c: c["a"])}
    with pytest.raises(ValueError, match=r"wait for each other's values: 'a', 'b'"):
        configs(space)


def test_a_function_that_raises_is_named() -> None:
    with pytest.raises(ValueError, match=r"'m/lr'.*ZeroDivisionError"):
        configs({"m": {"lr": tune.sample_from(lambda: 1 / 0)}})


def test_domains_inside_of_lists_and_of_choices() -> None:
    space = {"list": [tune.uniform(0, 1), 2], "plain": [1, 2], "way": tune.choice([{"lr": tune.randint(3, 4)}])}
    (config,) = configs(space)
    assert 0 <= config["list"][0] < 1 and config["list"][1] == 2
    assert config["plain"] == [1, 2] and config["way"] == {"lr": 3}


def test_no_trial_sees_what_another_one_does_to_its_config() -> None:
    first, second = configs({"c": tune.choice([[1]]), "plain": {"x": [1]}}, 2)
    first["c"].append(2)
    first["plain"]["x"].append(2)
    assert second == {"c": [1], "plain": {"x": [1]}}


def test_points_come_first_flat_or_nested_and_keep_the_rest_random() -> None:
    space = {"m": {"lr": tune.uniform(0, 1)}, "k": tune.randint(0, 100), "g": tune.grid_search([1, 2])}
    found = configs(space, 3, points_to_evaluate=[{"m": {"lr": 0.5}}, {"m/lr": 0.25, "g": 7}])
    assert [(c["m"]["lr"], c["g"]) for c in found[:3]] == [(0.5, 1), (0.5, 2), (0.25, 7)]
    assert len(found) == 5 and all(type(c["k"]) is int for c in found)


def test_a_point_with_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'m/rate'"):
        configs({"m": {"lr": 1}}, points_to_evaluate=[{"m": {"rate": 0.5}}])


@pytest.mark.parametrize("cut", range(25))
def test_a_search_that_is_cut_anywhere_goes_on_where_it_was(cut: int) -> None:
    space = {"a": tune.grid_search([1, 2]), "b": tune.grid_search([1, 2, 3]), "u": tune.uniform(0, 1)}
    whole = all_of(BasicVariantGenerator(random_state=7), space, 4)
    assert len(whole) == 24
    search = BasicVariantGenerator(random_state=7)
    saved = pickle.dumps(search)
    search.setup(space, 4, "t")
    made = [search.next_suggestion() for _ in range(cut)]
    again = pickle.loads(saved)
    again.setup(space, 4, "t")
    for suggestion in made:
        assert suggestion is not None
        again.replay(suggestion)
    while (suggestion := again.next_suggestion()) is not None:
        made.append(suggestion)
    assert [(one.trial_id, one.config) for one in made if one] == [(one.trial_id, one.config) for one in whole]


@pytest.mark.parametrize(
    "space",
    [
        {"u": tune.uniform(0, 1), "c": tune.choice(["a", "b"])},
        {"u": tune.uniform(0, 1), "c": tune.choice([{"g": tune.grid_search([1, 2])}, {"g": 3}])},
        {"u": tune.uniform(0, 1), "f": tune.sample_from(lambda config: {"g": tune.grid_search([1, 2])})},
    ],
)
def test_a_search_without_grids_goes_on_where_it_was(space: dict[str, Any]) -> None:
    whole = all_of(BasicVariantGenerator(random_state=3), space, 6)
    for cut in range(len(whole) + 1):
        again = BasicVariantGenerator(random_state=3)
        again.setup(space, 6, "t")
        for suggestion in whole[:cut]:
            again.replay(suggestion)
        rest = []
        while (found := again.next_suggestion()) is not None:
            rest.append((found.trial_id, found.config))
        assert rest == [(one.trial_id, one.config) for one in whole[cut:]]


def test_without_a_seed_no_value_is_drawn_twice() -> None:
    space = {"u": tune.uniform(0, 1)}
    first, second = (all_of(BasicVariantGenerator(), space, 20) for _ in range(2))
    assert len({one.config["u"] for one in first + second}) == 40


def test_how_many_there_will_be() -> None:
    search = BasicVariantGenerator(points_to_evaluate=[{"g": 5}])
    search.setup({"g": tune.grid_search([1, 2])}, 3, "t")
    assert search.total_samples == 5


def test_search_without_end() -> None:
    search = BasicVariantGenerator(random_state=1)
    search.setup({"u": tune.uniform(0, 1)}, -1, "t")
    assert len({search.next_suggestion().config["u"] for _ in range(50)}) == 50  # type: ignore[union-attr]
    assert not search.is_finished()
