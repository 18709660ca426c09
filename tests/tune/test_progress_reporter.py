"""The progress table: what it has, and when it is printed."""

import io
import os
import re
from typing import Any

import pytest

from ray_async import tune
from ray_async.tune import CLIReporter, JupyterNotebookReporter, ProgressReporter, RunConfig
from ray_async.tune.experiment.trial import Trial
from tests.tune.test_tuner import fit


def trial(number: int, status: str, **metrics: Any) -> Trial:
    made = Trial("f", trial_id=f"t_{number}", config={"lr": number / 10, "m": {"x": "y" * 40}})
    made.evaluated_params = {"lr": number / 10, "m/x": "y"}
    made.status, made.last_result = status, metrics
    return made


TRIALS = [
    trial(1, "TERMINATED", loss=3.0, training_iteration=2),
    trial(2, "RUNNING", loss=1.0, training_iteration=1),
    trial(3, "ERROR"),
    trial(4, "PENDING"),
]


def test_the_table() -> None:
    TRIALS[2].error = ValueError("first\nlast line")
    reporter = CLIReporter(metric="loss", mode="min", total_samples=9)
    lines = reporter.text(TRIALS, done=True).splitlines()
    assert lines[0].startswith("Trials: 4 of 9 (1 ERROR, 1 INTERRUPTED, 1 PENDING, 1 TERMINATED), ")
    assert lines[0].endswith(", interrupted") and lines[1].startswith("Best loss: 1 of f_t_2: lr=0.2, m/x=yyy")
    assert lines[2].split() == ["trial", "status", "lr", "m/x", "loss", "training_iteration"]
    assert lines[3].split() == ["f_t_1", "TERMINATED", "0.1", "y" * 17 + "...", "3", "2"]
    assert lines[4].split()[:2] == ["f_t_2", "INTERRUPTED"]
    assert [line.split()[0] for line in lines[3:7]] == ["f_t_1", "f_t_2", "f_t_4", "f_t_3"]
    assert lines[7] == "Failed: f_t_3: last line" and len(lines) == 8


@pytest.mark.parametrize(("shown", "word"), [((0, 2), "done"), ((0, 3), "interrupted"), ((0, 1), "interrupted")])
def test_the_head_says_how_the_search_has_ended(shown: tuple[int, ...], word: str) -> None:
    text = CLIReporter().text([TRIALS[one] for one in shown], done=True)
    assert text.splitlines()[0].rpartition(", ")[2] == word


def test_columns_rows_and_order() -> None:
    reporter = CLIReporter(
        metric_columns={"loss": "L"}, parameter_columns=["lr"], max_progress_rows=2, sort_by_metric=True,
        metric="loss", mode="min",
    )  # fmt: skip
    reporter.add_metric_column("training_iteration", "it")
    lines = reporter.text(TRIALS, done=False).splitlines()
    assert [line.split() for line in lines[2:5]] == [
        ["trial", "status", "lr", "L", "it"],
        ["f_t_2", "RUNNING", "0.2", "1", "1"],
        ["f_t_1", "TERMINATED", "0.1", "3", "2"],
    ]
    assert lines[5] == "... 2 more trials"


def test_time_between_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ray_async.tune.progress_reporter.time.monotonic", lambda: now[0])
    reporter = CLIReporter(max_report_frequency=5)
    assert not reporter.should_report([])
    now[0] = 106.0
    assert reporter.should_report([]) and not reporter.should_report([]) and reporter.should_report([], done=True)


@pytest.mark.usefixtures("session")
def test_verbose_0_is_silent_and_1_prints_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    def train(config: dict[str, Any]) -> dict[str, Any]:
        return {"loss": config["x"]}

    space = {"x": tune.grid_search([1, 2])}
    fit(train, space, RunConfig(verbose=0), metric="loss", mode="min")
    assert capsys.readouterr().out == ""
    fit(train, space, RunConfig(verbose=1), metric="loss", mode="min")
    printed = capsys.readouterr().out
    assert printed.count("Trials: ") == 1 and "Best loss: 1" in printed and len(printed) < 1000


@pytest.mark.usefixtures("session")
def test_a_reporter_of_the_users_own() -> None:
    class Own(ProgressReporter):
        ends: list[bool]

        def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
            self.__dict__.setdefault("ends", []).append(done)

    own = Own()
    fit(lambda config: {"loss": 1}, run=RunConfig(progress_reporter=own))
    assert own.ends[-1] is True and own.ends.count(True) == 1


class Terminal(io.StringIO):
    """A terminal of 60 x 8 characters: what is on it after all that was written to it."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines = [""]
        for part in re.split(r"(\x1b\[\d*[A-Za-z])", self.getvalue()):
            if found := re.fullmatch(r"\x1b\[(\d*)([A-Za-z])", part):
                # Up so many lines, and clear what is below; colours leave no trace.
                if found[2] == "F":
                    lines = lines[: len(lines) - int(found[1])]
                    lines[-1] = ""
                else:
                    assert found[2] in "Jm"
                continue
            first, *more = part.split("\n")
            lines[-1] += first
            lines += more
        return lines


def test_on_a_terminal_each_table_takes_the_place_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 8)))
    print("before", file=terminal)
    reporter = CLIReporter(metric="loss", mode="min", total_samples=9)
    reporter.report(TRIALS[:1], done=False)
    reporter.report(TRIALS, done=False)
    between = terminal.screen()
    assert between[0] == "before" and between[1].startswith("Trials: 4 of 9 (1 ERROR, 1 PENDING, 1 RUNNING")
    assert sum(line.startswith("Trials: ") for line in between) == 1
    # It never is higher or wider than the terminal, so that none of it is beyond reach.
    assert len(between) - 2 <= 7 and max(map(len, between)) <= 60
    # What runs is seen, however many have ended.
    assert [line.split()[0] for line in between if line.startswith("f_t_")] == ["f_t_2", "f_t_1", "f_t_3", "f_t_4"]
    reporter.report(TRIALS, done=True)
    print("after", file=terminal)
    after = terminal.screen()
    assert sum(line.startswith("Trials: ") for line in after) == 1 and after[-2] == "after"
    assert [line.split()[0] for line in after if line.startswith("f_t_")] == ["f_t_1", "f_t_2", "f_t_4", "f_t_3"]


def test_a_notebook_shows_one_table_of_html_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr("IPython.display.clear_output", lambda wait: shown.clear())
    reporter = JupyterNotebookReporter(metric="loss", mode="min")
    odd = trial(5, "RUNNING", loss=0.5)
    odd.evaluated_params = {"lr": "<b>&"}
    odd.config = {"lr": "<b>&"}
    reporter.report(TRIALS, done=False)
    reporter.report([*TRIALS, odd], done=True)
    (page,) = [one.data for one in shown]
    assert page.count("<table>") == 1 and page.count("<tr>") == 6
    assert "&lt;b&gt;&amp;" in page and "<b>" not in page
    assert "Best loss: 0.5 of f_t_5" in page.replace("&#x27;", "'") and "last line" in page
