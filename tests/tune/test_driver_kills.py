"""Kills of the driver at random points of a search, and journals cut at any byte: what is left is done, nothing twice.

`make full-tune` kills hundreds of drivers and cuts at every byte.
"""

import os
import pickle
import random
import signal
from pathlib import Path
from typing import Any

from ray_async.tune.execution import messages as m
from ray_async.tune.execution.state import SearchState
from tests.tune.test_failures import drive, rows
from tests.tune.test_snapshot import FACTS, restored, written

KILLS = int(os.environ.get("TUNE_KILLS", "1"))
REPORTS = 36
TRIALS = 12


def test_a_driver_that_is_killed_at_a_random_point_loses_nothing(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    source = random.Random(seed)
    (tmp_path / "whole").mkdir()
    expected = drive(tmp_path / "whole", 0)
    assert expected.returncode == 0 and len(rows(expected.stdout)) == TRIALS, expected.stderr
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        kill_after = source.randint(1, REPORTS)
        assert drive(folder, kill_after).returncode == -signal.SIGKILL
        last = drive(folder, 0)
        assert last.returncode == 0, last.stderr
        assert rows(last.stdout) == rows(expected.stdout), f"killed after {kill_after} reports"


def finished(state: SearchState) -> list[tuple[Any, ...]]:
    """Run what is left, one trial after the other, and show all trials."""
    while (trial := state.choose()) is not None:
        state.start(trial)
        for n in (1, 2, 3):
            value = {"u": trial.config["u"] * n}
            report = (m.REPORT, trial.trial_id, trial.attempt, n, value, float(n), 1.0, 0.0, (n, float(n)), None, False)
            state.handle(FACTS, [report])
        state.handle(FACTS, [(m.DONE, trial.trial_id, trial.attempt, None, 3.0)])
        state.take_effects()
    assert state.is_over
    return [
        (trial.trial_id, trial.config, trial.status, trial.path, trial.last_result["u"], trial.num_failures)
        for trial in state.get_trials()
    ]


def test_a_search_goes_on_from_a_journal_that_was_cut_at_any_byte(tmp_path: Path) -> None:
    spec = written(tmp_path, 9)
    whole = (tmp_path / "journal.bin").read_bytes()
    expected = finished(pickle.loads(spec).state("f", str(tmp_path)))
    assert len(expected) == TRIALS
    done = 0
    for cut in range(0, len(whole) + 1, 1 if KILLS > 1 else 41):
        (tmp_path / "journal.bin").write_bytes(whole[:cut])
        state, _ = restored(tmp_path, spec)
        state.begin_again("skip", "resume")
        kept = sum(trial.is_finished() for trial in state.get_trials())
        assert kept >= done
        done = kept
        assert finished(state) == expected
    assert done >= 8
