"""Plots, the page of plots, and the command that looks at experiments."""

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune import ResultGrid, RunConfig
from ray_async.tune.command.command import main
from ray_async.tune.plots.importance import importances
from ray_async.tune.plots.page import page
from ray_async.tune.plots.parallel_plot import _Scale
from ray_async.tune.plots.rungs import survivors
from ray_async.tune.plots.search_data import SearchData
from tests.tune.test_tuner import fit

KINDS = ("curves", "history", "parallel", "importance", "rungs")


def train(config: dict[str, Any]) -> None:
    for step in range(1 + config["n"]["i"] % 3):
        tune.report({"loss": config["n"]["i"] + 1 / (step + 1), "nan": math.nan})
    if config["n"]["i"] == 7:
        raise ValueError("seven")


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory, session: None) -> ResultGrid:
    space = {
        "n": {"i": tune.grid_search(list(range(8)))},
        "kind": tune.choice(["a", "b"]),
        "x": tune.loguniform(1e-5, 1),
    }
    storage = str(tmp_path_factory.mktemp("plots"))
    return fit(train, space, RunConfig(name="plotted", storage_path=storage), metric="loss", mode="min")


def data(grid: ResultGrid, metric: str = "loss") -> SearchData:
    return SearchData(grid._trials, grid._history, metric, "min")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_draws_what_there_is(grid: ResultGrid, kind: str, tmp_path: Path) -> None:
    figure = grid.plot(kind)
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000
    (axes,) = figure.axes
    texts = " ".join(text.get_text() for text in [*axes.texts, axes.xaxis.label, axes.yaxis.label, figure._suptitle])
    assert {"curves": "training iteration", "history": "trial", "rungs": "-3"}.get(kind, "loss") in texts
    # Without a single number there is nothing to draw, and no error.
    grid.plot(kind, metric="nan").savefig(tmp_path / "empty.png")


def test_what_they_show(grid: ResultGrid) -> None:
    shown = data(grid)
    assert shown.best is not None and shown.best.config["n/i"] == 0 and shown.best.value == 1.0
    assert shown.trials[2].curve == ([1.0, 2.0, 3.0], [3.0, 2.5, pytest.approx(7 / 3)])
    assert shown.best_so_far() == [1.0] * 8
    assert survivors(shown) == ([0.0, 1.0, 2.0, 3.0], [8, 5, 2, 0])
    assert shown.parameters() == ["n/i", "kind", "x"] or shown.parameters() == ["n/i", "x"]
    assert math.isnan(data(grid, "nan").best_so_far()[-1])
    with pytest.raises(ValueError, match="curves"):
        grid.plot("pie")
    with pytest.raises(ValueError, match="metric"):
        ResultGrid(grid._trials, grid.experiment_path).plot()


def test_importance_finds_the_parameter_that_decides_and_no_other() -> None:
    class Made(SearchData):
        def __init__(self) -> None:
            self.metric, self.mode, self.time_attr = "loss", "min", "training_iteration"
            self.trials = []
            for n in range(64):
                config = {"decides": n % 8, "choice": "ab"[n // 8 % 2], "noise": (n * 37) % 64}
                self.trials.append(_trial(config, float(n % 8)))

    shares = importances(Made())
    assert next(iter(shares)) == "decides" and shares["decides"] > 0.95
    assert shares["choice"] < 0.1 and shares["noise"] < 0.3


def _trial(config: dict[str, Any], value: float) -> Any:
    from ray_async.tune.plots.search_data import TrialData

    return TrialData("t", "TERMINATED", config, value, ([], []))


def test_scales() -> None:
    log = _Scale("lr", [1e-4, 1e-2, 1.0])
    assert [log.place(value) for value in (1e-4, 1e-2, 1.0)] == pytest.approx([0, 0.5, 1])
    words = _Scale("act", ["tanh", "relu", None])
    assert sorted(words.place(value) for value in ("tanh", "relu", None)) == [0, 0.5, 1]
    assert _Scale("same", [3, 3]).place(3) == 0.5


def test_a_page_needs_no_other_file(grid: ResultGrid) -> None:
    text = page(grid.experiment_path)
    assert text.count("data:image/png;base64,") == 5 and "http" not in text.replace("http-equiv", "")
    assert "best loss (min)" in text and "<td>n/i" not in text and "plotted" in text


def test_the_command(grid: ResultGrid, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = grid.experiment_path
    assert main(["ls", path, "--sort", "loss", "--desc", "--limit", "2", "--columns", "status,loss"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["status", "loss"] and len(lines) == 3 and lines[1].split()[0] == "ERROR"
    assert main(["ls", path, "--filter", "loss < 3", "-o", str(tmp_path / "t.csv")]) == 0
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 4
    assert main(["lsx", str(Path(path).parent)]) == 0
    assert "plotted" in capsys.readouterr().out
    assert main(["page", path, "-o", str(tmp_path / "p.html")]) == 0
    assert (tmp_path / "p.html").read_text().startswith("<!doctype html>")
    for wrong in (["ls", str(tmp_path)], ["lsx", str(tmp_path)], ["ls", path, "--columns", "no"], ["add-note", "/no"]):
        assert main(wrong) == 1
        assert capsys.readouterr().err


def test_the_command_by_its_name_takes_notes(grid: ResultGrid) -> None:
    command = [sys.executable, "-m", "ray_async", "tune", "add-note", grid.experiment_path]
    subprocess.run(command, input="good", text=True, check=True, capture_output=True)
    assert Path(grid.experiment_path, "note.txt").read_text() == "good"
