"""Stoppers: what each ends; the suite at the top holds for all of them."""

import datetime
import pickle
from typing import Any

import pytest

from ray_async.tune.execution.stop_criteria import StopCriteria
from ray_async.tune.stopper import (
    CombinedStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
)

NAN = float("nan")


def good_enough(trial_id: str, result: dict[str, Any]) -> bool:
    return bool(result["v"] >= 3)


ALL = [
    NoopStopper,
    lambda: FunctionStopper(good_enough),
    lambda: MaximumIterationStopper(3),
    lambda: TimeoutStopper(1000),
    lambda: TrialPlateauStopper("v"),
    lambda: ExperimentPlateauStopper("v"),
    lambda: CombinedStopper(MaximumIterationStopper(3), FunctionStopper(good_enough)),
]


@pytest.mark.parametrize("make", ALL)
def test_conformance(make: Any) -> None:
    stopper = make()
    assert isinstance(stopper, Stopper)
    # A new one ends nothing, survives pickling, and answers with bools whatever is reported.
    assert stopper.stop_all() is False
    copy = pickle.loads(pickle.dumps(stopper))
    for value in (1.0, NAN, float("inf"), 2):
        answers = [one("a", {"v": value, "other": "text"}) for one in (stopper, copy)]
        assert answers[0] is answers[1] and type(answers[0]) is bool
    assert type(stopper.stop_all()) is bool


def asked(stopper: Stopper, values: list[float], trial_id: str = "a") -> list[bool]:
    return [stopper(trial_id, {"v": value}) for value in values]


def test_maximum_iterations_count_each_trial() -> None:
    stopper = MaximumIterationStopper(2)
    assert asked(stopper, [0, 0], "a") == [False, True]
    assert asked(stopper, [0, 0], "b") == [False, True]


def test_a_plateau_of_a_trial() -> None:
    assert asked(TrialPlateauStopper("v", std=0.1), [5, 1, 1, 1, 1]) == [False] * 4 + [True]
    assert asked(TrialPlateauStopper("v", num_results=2, grace_period=4), [1, 1, 1, 1]) == [False] * 3 + [True]
    # Only a plateau that is bad enough.
    assert asked(TrialPlateauStopper("v", metric_threshold=0.5, mode="min"), [0.1] * 5)[-1] is False
    assert asked(TrialPlateauStopper("v", metric_threshold=0.5, mode="min"), [0.9] * 5)[-1] is True
    with pytest.raises(ValueError, match="mode"):
        TrialPlateauStopper("v", metric_threshold=1)


def test_a_plateau_of_the_search() -> None:
    stopper = ExperimentPlateauStopper("v", top=3, std=0.01, patience=2)
    assert asked(stopper, [9, 1, 1, 1]) == [False] * 4
    assert stopper.stop_all() is False
    assert asked(stopper, [5]) == [True]
    assert stopper.stop_all() is True
    for options in ({"top": 1}, {"std": 0}, {"patience": -1}, {"mode": "best"}):
        with pytest.raises(ValueError):
            ExperimentPlateauStopper("v", **options)


def test_time_runs_from_the_first_report(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ray_async.tune.stopper.iterations.time.monotonic", lambda: now[0])
    stopper = TimeoutStopper(datetime.timedelta(seconds=10))
    stopper("a", {})
    now[0] = 109.0
    assert stopper.stop_all() is False
    restored = pickle.loads(pickle.dumps(stopper))
    now[0] = 5000.0  # another process, another clock
    assert restored.stop_all() is False
    now[0] = 5002.0
    assert restored.stop_all() is True
    with pytest.raises(ValueError):
        TimeoutStopper("soon")  # type: ignore[arg-type]


def test_combined_ones_all_keep_account() -> None:
    stopper = CombinedStopper(FunctionStopper(good_enough), MaximumIterationStopper(2))
    assert asked(stopper, [3, 1]) == [True, True]


@pytest.mark.parametrize("stop", [[], [NoopStopper(), {"a": 1}], 5, lambda: True, "text"])
def test_what_is_no_stop(stop: Any) -> None:
    with pytest.raises(ValueError):
        StopCriteria(stop)


def test_thresholds_reach_into_nests_and_literal_names_win() -> None:
    criteria = StopCriteria({"eval/acc": 3})
    assert not criteria.ends("a", {"eval": {"acc": 2}})
    assert criteria.ends("a", {"eval": {"acc": 3}})
    assert not criteria.ends("a", {"eval": {"acc": 3}, "eval/acc": 1})


def test_an_unknown_metric_ends_nothing_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    criteria = StopCriteria({"los": 3})
    assert not criteria.ends("a", {"loss": 9}) and not criteria.ends("a", {"loss": 9})
    assert [record.getMessage() for record in caplog.records] == [
        "stop names the metric 'los', which a trial did not report: it ends nothing there"
    ]
