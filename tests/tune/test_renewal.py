"""What may change at a restore: objects and references, not the space and not what was drawn."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async import tune
from ray_async.tune import FailureConfig, ResultGrid, RunConfig, TuneConfig, Tuner
from ray_async.tune.execution.renewal import renew_space


class Thing:
    """Is equal to itself alone."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_constants_and_choices_are_renewed_and_domains_stay() -> None:
    old: dict[str, Any] = {
        "c": 1,
        "n": {"t": Thing("a"), "l": [1, 2]},
        "k": tune.choice(["x", "y"]),
        "u": tune.uniform(0, 1),
    }
    new: dict[str, Any] = {
        "c": 2,
        "n": {"t": Thing("b"), "l": [1, 3]},
        "k": tune.choice(["x", "z"]),
        "u": tune.uniform(0, 1),
    }
    space, renewal = renew_space(old, new)
    assert space["c"] == 2 and space["n"]["t"].name == "b" and space["k"].categories == ["x", "z"]
    assert space["u"] is old["u"]
    config: dict[str, Any] = {"c": 1, "n": {"t": Thing("a"), "l": [1, 2]}, "k": "y", "u": 0.25}
    renewed = renewal.config(config)
    assert (renewed["c"], renewed["n"]["t"].name, renewed["n"]["l"]) == (2, "b", [1, 3])
    assert (renewed["k"], renewed["u"]) == ("z", 0.25)
    assert (config["c"], config["n"]["l"], config["k"]) == (1, [1, 2], "y")
    assert renewal.config({"c": 7, "k": "x"}) == {"c": 7, "k": "x"}, "what a scheduler has changed stays"
    assert renewal.drawn({("k",): "y", ("u",): 0.25}) == {("k",): "z", ("u",): 0.25}


def test_the_same_space_changes_nothing() -> None:
    space = {"t": Thing("a"), "g": tune.grid_search([1, 2]), "s": tune.sample_from(lambda c: 1)}
    same = {"t": Thing("a"), "g": tune.grid_search([1, 2]), "s": tune.sample_from(lambda c: 1)}
    assert not renew_space(space, same)[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"x": 1}, {"y": 1}, r"missing are \['x'\], new are \['y'\]"),
        ({"m": {"a": 1}}, {"m": {"b": 1}}, r"missing are \['m/a'\], new are \['m/b'\]"),
        ({"g": tune.grid_search([1, 2])}, {"g": tune.grid_search([1])}, r"'g' had 2 values .*, and now has 1"),
        ({"k": tune.choice([1, 2])}, {"k": 1}, r"'k' had 2 values .*, and now has none"),
    ],
)
def test_another_space_is_refused_by_name(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        renew_space(old, new)


def test_a_domain_with_other_bounds_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ray_async.tune"):
        renew_space({"u": tune.uniform(0, 1)}, {"u": tune.uniform(0, 2)})
    assert "'u' from (0, 1)" in caplog.text


def cut_off(space: dict[str, Any], train: Any) -> ResultGrid:
    """A search of which one trial has failed, one has ended, and two are still to be run."""
    return Tuner(
        train,
        param_space=space,
        tune_config=TuneConfig(max_concurrent_trials=1),
        run_config=RunConfig(failure_config=FailureConfig(fail_fast=True)),
    ).fit()


@pytest.fixture
def sessions() -> Iterator[Any]:
    """A call begins a session, and ends the one before."""

    def start() -> None:
        ray.shutdown()
        ray.init(num_cpus=2, log_to_driver=False)

    start()
    yield start
    ray.shutdown()


def test_references_of_a_session_that_has_ended(sessions: Any, tmp_path: Path) -> None:
    go = tmp_path / "go"

    def train(config: dict[str, Any]) -> dict[str, Any]:
        if config["i"] == 1 and not go.exists():
            raise ValueError("first")
        return {"sum": sum(ray.get(config["data"])) + ray.get(config["pick"]), "i": config["i"]}

    def space(*values: int) -> dict[str, Any]:
        first, *others = values
        pick = tune.grid_search([ray.put(value) for value in others])
        return {"i": tune.grid_search([0, 1]), "data": ray.put([first]), "pick": pick, "u": tune.uniform(0, 1)}

    grid = cut_off(space(1, 10, 20), train)
    assert (grid.num_terminated, grid.num_errors, grid[0].metrics["sum"]) == (1, 1, 11)
    drawn = [result.config["u"] for result in grid]  # type: ignore[index]
    go.touch()
    sessions()
    again = Tuner.restore(grid.experiment_path, train, resume_errored=True)
    assert again.get_results()[0].metrics["sum"] == 11, "results can be read without the objects"
    with pytest.raises(tune.TuneError, match=r"ObjectRef at 'data' .*another session.*param_space"):
        again.fit()
    fresh = space(2, 30, 40)
    whole = Tuner.restore(grid.experiment_path, train, param_space=fresh, resume_errored=True).fit()
    assert [result.metrics["sum"] for result in whole] == [11, 32, 42, 42] and whole.num_errors == 0
    assert [result.config["u"] for result in whole][: len(drawn)] == drawn  # type: ignore[index]
    # A later restore knows of it.
    last = Tuner.restore(grid.experiment_path, train).fit()
    assert [result.metrics["sum"] for result in last] == [11, 32, 42, 42]
    assert last[1].config["data"] == fresh["data"] and last[0].config["data"] != fresh["data"]  # type: ignore[index]
