"""Snapshots: a restore from one gives what a restore from the whole journal gives."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.air.config import RunConfig
from ray_async.tune.execution import messages as m
from ray_async.tune.execution.restoring import replay
from ray_async.tune.execution.search_spec import SearchSpec
from ray_async.tune.execution.state import SearchState
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal import ended_trials
from ray_async.tune.journal.journal import SearchJournal
from ray_async.tune.journal.snapshot import NAME, SnapshotClock, read_snapshot
from ray_async.tune.schedulers import ASHAScheduler
from ray_async.tune.search import BasicVariantGenerator
from ray_async.tune.tune_config import TuneConfig

FACTS = m.RunnerFacts(1, "host", "::1")
SPACE = {"g": tune.grid_search([1, 2, 3]), "u": tune.uniform(0, 1)}


def train(config: dict[str, Any]) -> None:
    """Never called: the messages of its trials are written by hand."""


def written(folder: Path, trials: int, scheduler: Any = None, keep_at: int | None = None) -> bytes:
    """Run a search by hand, a trial of three reports after the other, and keep a snapshot in between."""
    search = BasicVariantGenerator(random_state=7)
    config = TuneConfig(metric="u", mode="max", num_samples=4, search_alg=search, scheduler=scheduler)
    spec = SearchSpec("train", SPACE, config, RunConfig()).pack()
    state = pickle.loads(spec).state(train, str(folder))
    journal = SearchJournal(str(folder))
    for number in range(trials):
        trial = state.choose()
        assert trial is not None
        state.start(trial)
        added = [effect.suggestion for effect in state.take_effects() if hasattr(effect, "suggestion")]
        journal.append([*(("trial", *suggestion) for suggestion in added), ("start", trial.trial_id)])
        values = [{"u": trial.config["u"] * step} for step in (1, 2, 3)]
        reports = [
            (m.REPORT, trial.trial_id, 1, n, value, float(n), 1.0, 0.0, (n, float(n)), None, False)
            for n, value in enumerate(values, 1)
        ]
        arrived = [*reports, (m.DONE, trial.trial_id, 1, None, 3.0)]
        journal.append([("packed", tuple(FACTS), pickle.dumps(arrived))])
        state.handle(FACTS, arrived)
        state.take_effects()
        if number + 1 == keep_at:
            assert journal.keep(state.parts(), state.trials)
    journal.close()
    return spec


def shown(state: SearchState) -> list[tuple[Any, ...]]:
    return [
        (t.trial_id, t.config, t.status, t.path, t.last_result.get("u"), t.last_result["training_iteration"])
        for t in state.get_trials()
    ]


def restored(folder: Path, spec: bytes) -> tuple[SearchState, int]:
    state: SearchState = pickle.loads(spec).state(train, str(folder))
    return state, replay(state, str(folder))


@pytest.mark.parametrize("scheduler", [None, ASHAScheduler(max_t=3, grace_period=1, reduction_factor=2)])
@pytest.mark.parametrize("keep_at", [1, 4, 7])
def test_a_restore_from_a_snapshot_is_the_restore_from_the_journal(
    scheduler: Any, keep_at: int, tmp_path: Path
) -> None:
    spec = written(tmp_path, 7, scheduler, keep_at)
    quick, behind = restored(tmp_path, spec)
    (tmp_path / NAME).unlink()
    whole, all_of_them = restored(tmp_path, spec)
    assert shown(quick) == shown(whole) and behind < all_of_them
    # Both go on with the same trials.
    rest = [[], []]  # type: list[list[Any]]
    for state, made in zip((quick, whole), rest, strict=True):
        while (trial := state.choose()) is not None:
            state.start(trial)
            made.append((trial.trial_id, trial.config, trial.path))
    assert rest[0] == rest[1] and len(rest[0]) == 12 - 7


def test_what_is_no_sound_snapshot_is_passed_over(tmp_path: Path) -> None:
    spec = written(tmp_path, 5, keep_at=5)
    _, behind = restored(tmp_path, spec)
    assert behind == 0
    whole = (tmp_path / NAME).read_bytes()
    for damaged in (whole[:10], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"something else"):
        (tmp_path / NAME).write_bytes(damaged)
        assert read_snapshot(str(tmp_path), 1 << 40) is None
        state, repeated = restored(tmp_path, spec)
        assert repeated > 0 and len(state.get_trials()) == 5
    # A journal that was cut behind the snapshot's place has the last word.
    (tmp_path / NAME).write_bytes(whole)
    journal = tmp_path / "journal.bin"
    journal.write_bytes(journal.read_bytes()[:-5])
    state, repeated = restored(tmp_path, spec)
    assert repeated > 0 and [trial.is_finished() for trial in state.get_trials()] == [True] * 4 + [False]


def test_a_directory_that_has_moved(tmp_path: Path) -> None:
    spec = written(tmp_path, 3, keep_at=3)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    state, repeated = restored(moved, spec)
    assert repeated == 0 and all(str(trial.path).startswith(f"{moved}/") for trial in state.get_trials())
    moved.rename(tmp_path)


def test_ended_trials_are_pickled_once_and_what_changes_later_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_trials, "CHUNK", 2)
    spec = written(tmp_path, 7)
    state, _ = restored(tmp_path, spec)
    pack, packed = Trial.packed, []

    def counted(trial: Trial) -> tuple[Any, ...]:
        packed.append(trial.trial_id)
        return pack(trial)

    monkeypatch.setattr(Trial, "packed", counted)
    journal = SearchJournal(str(tmp_path))
    for trial in state.get_trials()[:5]:
        journal.note_end(trial)
    assert len(packed) == 4
    for _ in range(3):
        assert journal.keep(state.parts(), state.trials)
    assert [packed.count(trial.trial_id) for trial in state.get_trials()] == [1] * 6 + [3]
    first = state.get_trials()[0]
    first.remark = "late"
    assert journal.keep(state.parts(), state.trials)
    journal.close()
    again, behind = restored(tmp_path, spec)
    assert behind == 0 and shown(again) == shown(state)
    assert again.get_trials()[0].remark == "late"


def test_a_searcher_that_cannot_be_pickled_has_no_snapshot(tmp_path: Path) -> None:
    journal = SearchJournal(str(tmp_path))
    assert not journal.keep({"source": (step for step in range(3))}, {})
    journal.close()
    assert not (tmp_path / NAME).exists()


def test_when_snapshots_are_due() -> None:
    clock = SnapshotClock(100.0, 0)
    assert not clock.is_due(200.0, 10_000)
    assert not clock.is_due(101.0, 1_000_000)
    assert clock.is_due(106.0, 1_000_000)
    assert not clock.is_due(200.0, 1_400_000)
    assert clock.is_due(200.0, 1_500_000)
