"""The Tune demonstration: a search that is cut goes on where it was, and both are compared in plots."""

import sys
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from examples import tune_demo
from ray_async import tune

# matplotlib keeps its fonts open, for the next figure.
pytestmark = pytest.mark.keeps_resources


def test_both_searches_and_what_is_left_of_a_cut_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupt(tune.Callback):
        # A restored search has its callbacks too, so this one looks for what it has left behind.
        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any) -> None:
            if result["training_iteration"] == 2 and not (tmp_path / "interrupted").exists():
                (tmp_path / "interrupted").touch()
                raise KeyboardInterrupt

    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))  # of trials that are killed while they save
    monkeypatch.setattr(sys, "argv", ["tune_demo", "--folder", str(tmp_path), "--trials", "6", "--epochs", "3"])
    with ray.init(num_cpus=2, log_to_driver=False):
        original = tune.RunConfig
        with monkeypatch.context() as patched:
            patched.setattr(tune, "RunConfig", lambda **given: original(**given, callbacks=[Interrupt()]))
            assert tune_demo.main() == 130
        assert not (tmp_path / "tpe").exists() and "Interrupted" in capsys.readouterr().out
        assert tune_demo.main() == 0
    printed = capsys.readouterr().out
    assert "asha: goes on from" in printed and "its learning_rate" in printed
    names = {"comparison.png", "asha-curves.png", "asha-rungs.png", "tpe-history.png", "tpe-importance.png"}
    assert names <= {path.name for path in tmp_path.iterdir()}
    grid = tune.Tuner.restore(tmp_path / "tpe", tune_demo.train_network).get_results()
    best = tune_demo.best_so_far(grid)
    assert len(grid) == 1 and len(best) == 3 and best == sorted(best)
