"""The journal: torn ends, locks, and two searches under one name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune import RunConfig, Tuner
from ray_async.tune.journal.journal import MAGIC, SearchJournal, read_journal
from tests.tune.test_tuner import fit


def test_a_journal_that_is_cut_at_any_byte_goes_on_after_its_last_whole_frame(tmp_path: Path) -> None:
    journal = SearchJournal(str(tmp_path))
    frames = [[("a", number), ("b", "x" * number)] for number in range(5)]
    ends = [len(MAGIC)]
    for records in frames:
        journal.append(records)
        ends.append(os.path.getsize(journal.path))
    journal.close()
    whole = Path(journal.path).read_bytes()
    for cut in range(len(whole) + 1):
        Path(journal.path).write_bytes(whole[:cut])
        kept = max((number for number, end in enumerate(ends) if end <= cut), default=0)
        expected = [record for records in frames[:kept] for record in records]
        assert list(read_journal(str(tmp_path))) == expected
        again = SearchJournal(str(tmp_path))
        again.append([("new",)])
        again.close()
        assert list(read_journal(str(tmp_path))) == [*expected, ("new",)]


def test_damage_in_the_middle_ends_the_reading_there(tmp_path: Path) -> None:
    journal = SearchJournal(str(tmp_path))
    journal.append([1])
    first = os.path.getsize(journal.path)
    journal.append([2])
    journal.close()
    data = bytearray(Path(journal.path).read_bytes())
    data[first + 9] ^= 0xFF
    Path(journal.path).write_bytes(data)
    assert list(read_journal(str(tmp_path))) == [1]


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.bin"
    path.write_bytes(b"something else, and longer than the mark")
    with pytest.raises(tune.TuneError, match="no journal"):
        SearchJournal(str(tmp_path))
    assert path.read_bytes().startswith(b"something else")


def test_a_full_disk_leaves_whole_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = SearchJournal(str(tmp_path))
    journal.append([1])
    write = os.write

    def full(descriptor: int, data: Any) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append([2] * 100)
    monkeypatch.undo()
    journal.append([3])
    journal.close()
    assert list(read_journal(str(tmp_path))) == [1, 3]


def test_an_experiment_that_runs_is_refused_by_directory_and_pid(tmp_path: Path) -> None:
    code = (
        "import sys; from ray_async.tune.journal.journal import SearchJournal; "
        f"j = SearchJournal({str(tmp_path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(tune.TuneError, match=f"{tmp_path}.*{other.pid}"):
            SearchJournal(str(tmp_path))
        other.kill()
    # The lock of a dead process is nobody's.
    SearchJournal(str(tmp_path)).close()


@pytest.mark.usefixtures("session")
def test_a_name_may_be_used_again_and_the_earlier_trials_stay(tmp_path: Path) -> None:
    def writes(config: dict[str, Any]) -> dict[str, Any]:
        Path("note").write_text(str(config["x"]))
        return {"x": config["x"]}

    run = RunConfig(name="same", storage_path=str(tmp_path))
    first = fit(writes, {"x": tune.grid_search([1, 2])}, run)
    second = fit(writes, {"x": 3}, run)
    assert first.experiment_path == second.experiment_path == str(tmp_path / "same")
    assert [result.metrics["x"] for result in second] == [3]
    assert [(Path(result.path) / "note").read_text() for result in first] == ["1", "2"]
    assert [result.metrics["x"] for result in Tuner.restore(second.experiment_path, writes).get_results()] == [3]


@pytest.mark.usefixtures("session")
def test_two_searches_that_begin_in_one_second_have_two_directories() -> None:
    paths = {fit(lambda config: {"x": 1}).experiment_path for _ in range(3)}
    assert len(paths) == 3


@pytest.mark.usefixtures("session")
def test_an_experiment_that_moved_is_read_and_goes_on_where_it_is(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"x": config["x"]}

    grid = fit(train, {"x": tune.grid_search([1, 2])}, RunConfig(storage_path=str(tmp_path / "a")))
    moved = tmp_path / "b" / "other"
    moved.parent.mkdir()
    os.rename(grid.experiment_path, moved)
    again = Tuner.restore(moved, train).fit()
    assert all(Path(result.path).parent == moved for result in again)
    assert [result.metrics_dataframe["x"][0] for result in again] == [1, 2]
    assert not Path(grid.experiment_path).exists()
    analysis = tune.ExperimentAnalysis(moved)
    assert len(analysis.trials) == 2
    with pytest.raises(ValueError, match=r"missing are \['x'\], new are \['y'\]"):
        Tuner.restore(moved, train, param_space={"y": 1})
    assert Tuner.can_restore(moved) and not Tuner.can_restore(tmp_path)


@pytest.mark.usefixtures("session")
def test_a_finished_run_is_extended(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"x": config["x"]}

    options: dict[str, Any] = {"name": "e", "storage_path": tmp_path, "config": {"x": tune.uniform(0, 1)}}
    first = tune.run(train, num_samples=6, **options)
    more = tune.run(train, num_samples=10, resume=True, **options)
    fewer = tune.run(train, num_samples=2, resume=True, **options)
    assert [len(analysis) for analysis in (first, more, fewer)] == [6, 10, 10]
    assert [trial.config for trial in more.trials[:6]] == [trial.config for trial in first.trials]
    with pytest.raises(tune.TuneError, match="no experiment to resume"):
        tune.run(train, resume=True, **{**options, "name": "nobody"})
