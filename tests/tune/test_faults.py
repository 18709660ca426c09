"""Faults around a search: searchers, disks, checkpoints, configs and tasks that do not do what they should."""

import errno
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async import tune
from ray_async.tune import Checkpoint, FailureConfig, PlacementGroupFactory, RunConfig, Tuner
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.journal import SearchJournal
from ray_async.tune.logger import CSVLoggerCallback
from ray_async.tune.search import Searcher
from tests.tune.test_tuner import fit, only

pytestmark = pytest.mark.usefixtures("session")


def trivial(config: dict[str, Any]) -> dict[str, Any]:
    """Reports its parameter."""
    return {"loss": config["x"]}


class Counting(Searcher):
    """Suggests 0, 1 and so on, until it is to fail.

    Args:
        good: How many suggestions are good.
        then: What comes then: an error that is raised, or a value.
    """

    def __init__(self, good: int, then: Any) -> None:
        super().__init__(metric="loss", mode="min")
        self.good, self.then, self.count = good, then, 0

    def suggest(self, trial_id: str) -> Any:
        if self.count >= self.good:
            if isinstance(self.then, Exception):
                raise self.then
            return self.then
        self.count += 1
        return {"x": self.count - 1}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing is learned."""


def test_a_searcher_that_raises_ends_the_search_and_what_had_ended_stays(tmp_path: Path) -> None:
    run = RunConfig(name="e", storage_path=str(tmp_path))
    with pytest.raises(ZeroDivisionError, match="searcher"):
        fit(trivial, {}, run, num_samples=5, search_alg=Counting(3, ZeroDivisionError("searcher")))
    again = Tuner.restore(tmp_path / "e", trivial).get_results()
    assert [result.config["x"] for result in again] == [0, 1, 2]  # type: ignore[index]


def test_a_searcher_that_gives_nothing_is_named() -> None:
    with pytest.raises(tune.TuneError, match=r"Counting has suggested no config for \d+ s, and no trial runs"):
        fit(trivial, {}, num_samples=5, search_alg=Counting(2, None))


def test_a_searcher_that_needs_a_moment_is_asked_again() -> None:
    class Late(Counting):
        asked = 0

        def suggest(self, trial_id: str) -> Any:
            self.asked += 1
            return super().suggest(trial_id) if self.asked > 3 else None

    grid = fit(trivial, {}, num_samples=2, search_alg=Late(2, None))
    assert [result.metrics["loss"] for result in grid] == [0, 1]


@pytest.mark.parametrize("suggested", [7, "word", [1]])
def test_a_searcher_that_gives_no_config_is_named(suggested: Any) -> None:
    with pytest.raises(tune.TuneError, match=r"Counting\.suggest must return a config, but gave"):
        fit(trivial, {}, num_samples=5, search_alg=Counting(1, suggested))


def test_a_config_that_cannot_be_pickled_is_named_with_its_trial() -> None:
    with pytest.raises(tune.TuneError, match=r"'m/lock' of trial \w+_00000 cannot be pickled"):
        fit(trivial, {"x": 1, "m": {"lock": tune.sample_from(threading.Lock)}})
    with pytest.raises(tune.TuneError, match=r"param_space\['lock'\] cannot be pickled"):
        fit(trivial, {"x": 1, "lock": threading.Lock()})


def no_table(callback: CSVLoggerCallback, trials: list[Trial], **info: Any) -> None:
    """Stand in for the writing of tables on a disk that is full."""
    raise OSError(errno.ENOSPC, "No space left on device", f"{trials[0].path}/progress.csv")


def test_a_full_disk_under_the_journal_ends_the_search_and_a_restore_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, left = SearchJournal.append, [3]

    def full(self: SearchJournal, records: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", self.path)
        append(self, records)

    monkeypatch.setattr(SearchJournal, "append", full)
    run = RunConfig(name="e", storage_path=str(tmp_path))
    # Tables of results are on the same disk: they are written at the end, and fail after the journal.
    monkeypatch.setattr(CSVLoggerCallback, "on_experiment_end", no_table)
    with pytest.raises(OSError, match=r"No space left on device: .*journal\.bin") as caught:
        fit(trivial, {"x": tune.grid_search(list(range(40)))}, run)
    notes = "\n".join(caught.value.__notes__)
    assert f"Tuner.restore({str(tmp_path / 'e')!r}, trainable)" in notes and "progress.csv" in notes
    monkeypatch.undo()
    grid = Tuner.restore(tmp_path / "e", trivial).fit()
    assert [result.metrics["loss"] for result in grid] == list(range(40))


def test_a_checkpoint_that_has_vanished_lets_the_trial_begin_anew(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def train(config: dict[str, Any]) -> None:
        begun = tune.get_checkpoint()
        for n in range(1, 4):
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "n").write_text(str(n))
                tune.report({"n": n, "begun": begun is not None}, checkpoint=Checkpoint.from_directory(folder))
            if n == 2 and not mark.exists():
                mark.touch()
                kept = tune.get_checkpoint()
                assert kept is not None
                shutil.rmtree(kept.path)
                raise RuntimeError("once")

    result = only(fit(train, {}, RunConfig(failure_config=FailureConfig(max_failures=1))))
    assert result.error is None and result.metrics["begun"] is False
    frame = result.metrics_dataframe
    assert list(frame["training_iteration"]) == list(frame["n"]) == [1, 2, 3]


@ray.remote
def child() -> int:
    """Ends at once."""
    return 1


@pytest.mark.parametrize("cpus", [2, 1_000])
def test_a_task_that_the_trials_group_can_never_hold_fails(cpus: int) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"x": ray.get(child.options(num_cpus=cpus).remote())}

    one = tune.with_resources(train, PlacementGroupFactory([{"CPU": 1}]))
    result = only(fit(one))
    text = str(result.error)
    assert result.error is not None and f"'CPU': {cpus}.0" in text and "[{'CPU': 1.0}]" in text
    assert result.metrics["trial_id"] in text
    two = tune.with_resources(train, PlacementGroupFactory([{"CPU": 1}, {"CPU": 2}]))
    if cpus == 2:
        assert only(fit(two)).metrics["x"] == 1


def test_an_error_of_a_callback_is_the_searchs() -> None:
    class Bad(tune.Callback):
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            raise KeyError("callback")

    with pytest.raises(KeyError, match="callback"):
        fit(trivial, {"x": 1}, RunConfig(callbacks=[Bad()]))


def test_a_callback_that_fails_at_the_end_keeps_no_other_from_it() -> None:
    told: list[str] = []

    class End(tune.Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_experiment_end(self, trials: Any, **info: Any) -> None:
            told.append(self.name)
            raise KeyError(self.name)

    with pytest.raises(KeyError, match="first") as caught:
        fit(trivial, {"x": 1}, RunConfig(callbacks=[End("first"), End("second")]))
    assert told == ["first", "second"] and "second" in "\n".join(caught.value.__notes__)
