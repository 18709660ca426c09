"""Names of trials and directories: any values, any functions of the user's."""

from typing import Any

import pytest

from ray_async import tune
from ray_async.air.config import CheckpointConfig
from ray_async.tune.execution.trial_maker import TrialMaker
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.search.search_algorithm import Suggestion

ODD = ["a/b", "line\nbreak", "..", "-dash", "\U0001f600", "漢字" * 100, "x" * 300]


def maker(**options: Any) -> TrialMaker:
    factory = PlacementGroupFactory([{"CPU": 1}])
    return TrialMaker("train", "/folder", lambda config: factory, CheckpointConfig(), "2026-01-01_00-00-00", **options)


def directory(made: TrialMaker, number: int = 0, **values: Any) -> str:
    trial = made.make(Suggestion(f"e_{number:05d}", values, {(name,): value for name, value in values.items()}))
    assert trial.path is not None and trial.path.startswith("/folder/")
    return trial.path.removeprefix("/folder/")


def test_odd_and_long_values_give_names_that_file_systems_take() -> None:
    values: dict[str, Any] = {f"p{number}": ODD[number % len(ODD)] for number in range(60)}
    name = directory(maker(), **values)
    assert "/" not in name and "\n" not in name and len(name.encode()) <= 255 and not name.startswith("-")
    for value in ODD:
        assert len(directory(maker(), v=value).encode()) <= 255


def test_the_longest_name_is_the_users_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_MAX_LEN_IDENTIFIER", "30")
    assert directory(maker(), v="x" * 300) == "train_e_00000_1_v=xxxxxxxxxxxx_2026-01-01_00-00-00"


def test_one_name_for_all_gives_distinct_directories() -> None:
    made = maker(dirname_creator=lambda trial: "same")
    names = [directory(made, number, v=number) for number in range(5)]
    assert len(set(names)) == 5 and names[0] == "same"


def fails(trial: Any) -> str:
    raise KeyError("x")


@pytest.mark.parametrize("creator", [lambda trial: "a/b", lambda trial: 5, fails, lambda trial: ".."])
def test_functions_that_give_no_name_are_named(creator: Any) -> None:
    with pytest.raises(tune.TuneError, match="trial_dirname_creator"):
        directory(maker(dirname_creator=creator))


def test_trial_names_of_the_users_own() -> None:
    made = maker(name_creator=lambda trial: f"mine-{trial.trial_id}")
    assert directory(made).startswith("mine-e_00000_1_")
