"""Progress reporters: how a search goes on, as a short table."""

from __future__ import annotations

import html
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ray_async.tune.experiment.trial import Trial
from ray_async.tune.metric import MISSING, lookup, number, rank
from ray_async.tune.results.scoring import best_of

__all__ = ("CLIReporter", "JupyterNotebookReporter", "ProgressReporter", "report_progress")

# Metrics that a table has where the user names none, if trials report them.
_USUAL = ("training_iteration", "time_total_s")


class ProgressReporter:
    """Interface of what tells how a search goes on."""

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        """The search begins.

        Args:
            start_time: When, in seconds since the epoch.
            total_samples: How many trials there will be; None if that is not known.
            metric: The metric that is optimised.
            mode: ``"min"`` or ``"max"``.
        """

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Tell whether it is time for a report.

        Args:
            trials: All trials.
            done: Whether the search has ended.
        """
        return True

    def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
        """Report.

        Args:
            trials: All trials.
            done: Whether the search has ended.
            sys_info: Further lines.
        """
        raise NotImplementedError


class CLIReporter(ProgressReporter):
    """Prints a table of the trials now and then, and at the end.

    Args:
        metric_columns: Metrics that have columns, or their titles by metric; None: the search's, and how far it is.
        parameter_columns: Parameters that have columns, or their titles by parameter; None: those drawn.
        total_samples: How many trials there will be.
        max_progress_rows: How many trials the table has.
        max_error_rows: How many failed trials it has.
        max_column_length: How many characters a cell has.
        max_report_frequency: Seconds between two tables.
        infer_limit: How many columns are found where none are named.
        print_intermediate_tables: Whether tables are printed before the end.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        sort_by_metric: Whether the best trials come first.

    Example:
        >>> reporter = CLIReporter(metric_columns=["loss"], max_report_frequency=30)
    """

    def __init__(
        self,
        *,
        metric_columns: Sequence[str] | Mapping[str, str] | None = None,
        parameter_columns: Sequence[str] | Mapping[str, str] | None = None,
        total_samples: int | None = None,
        max_progress_rows: int = 20,
        max_error_rows: int = 20,
        max_column_length: int = 20,
        max_report_frequency: float = 5,
        infer_limit: int = 3,
        print_intermediate_tables: bool | None = None,
        metric: str | None = None,
        mode: str | None = None,
        sort_by_metric: bool = False,
    ) -> None:
        self._metric_columns = _titles(metric_columns)
        self._parameter_columns = _titles(parameter_columns)
        self._total = total_samples
        self._max_rows, self._max_errors = max_progress_rows, max_error_rows
        self._max_length = max_column_length
        self._frequency = max_report_frequency
        self._infer_limit = infer_limit
        self._between = print_intermediate_tables is not False
        self._metric, self._mode = metric, mode
        self._sort = sort_by_metric
        self._began = time.monotonic()
        self._last = self._began
        # Trials that had ended when a restored search began: they say nothing of its speed.
        self._ended_before: int = 0
        self._lines = 0

    def setup(
        self,
        start_time: float | None = None,
        total_samples: int | None = None,
        metric: str | None = None,
        mode: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._ended_before = int(kwargs.get("ended", 0))
        self._total = self._total or total_samples
        self._metric, self._mode = self._metric or metric, self._mode or mode
        self._began = self._last = time.monotonic()

    def add_metric_column(self, metric: str, representation: str | None = None) -> None:
        """Give a metric a column.

        Args:
            metric: The metric.
            representation: The column's title.
        """
        self._metric_columns = {**(self._metric_columns or {}), metric: representation or metric}

    def add_parameter_column(self, parameter: str, representation: str | None = None) -> None:
        """Give a parameter a column.

        Args:
            parameter: The parameter.
            representation: The column's title.
        """
        self._parameter_columns = {**(self._parameter_columns or {}), parameter: representation or parameter}

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        now = time.monotonic()
        if done or (self._between and now - self._last >= self._frequency):
            self._last = now
            return True
        return False

    def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
        text = self.text(trials, done, *sys_info)
        if not sys.stdout.isatty():
            print(text, file=sys.stdout, flush=True)
            return
        # On a terminal the table takes the place of the one before, cut to the terminal's size.
        width, height = shutil.get_terminal_size()
        shown = [line[:width] for line in text.splitlines()]
        if not done:
            shown = shown[: max(height - 1, 1)]
        back = f"\x1b[{self._lines}F\x1b[J" if self._lines else ""
        self._lines = 0 if done else len(shown)
        print(back + "\n".join(map(_painted, shown)), file=sys.stdout, flush=True)

    def text(self, trials: list[Trial], done: bool, *sys_info: Any) -> str:
        """The table and the lines around it.

        Args:
            trials: All trials.
            done: Whether the search has ended.
            sys_info: Further lines.
        """
        lines = [self._head(trials, done), *map(str, sys_info)]
        lines += self._best(trials)
        rows = self._rows(trials, done)
        lines += _table(rows, self._max_length)
        if len(trials) > self._max_rows:
            lines.append(f"... {len(trials) - self._max_rows} more trials")
        return "\n".join([*lines, *self._failures(trials)])

    def _best(self, trials: list[Trial]) -> list[str]:
        if not (self._metric and self._mode):
            return []
        best = best_of(trials, self._metric, self._mode, "last")
        if best is None:
            return []
        drawn = list(best.evaluated_params) or list(best.config)
        config = ", ".join(f"{name}={_cell(lookup(best.config, name, ''))}" for name in drawn)
        return [f"Best {self._metric}: {_cell(lookup(best.last_result, self._metric))} of {best}: {config}"]

    def _failures(self, trials: list[Trial]) -> list[str]:
        failed = [trial for trial in trials if trial.status == Trial.ERROR]
        return [f"Failed: {trial}: {_last_line(trial)}" for trial in failed[: self._max_errors]]

    def _head(self, trials: list[Trial], done: bool) -> str:
        """Trials by state, time, what the running ones take, and how long the rest may last."""
        states = Counter(_state(trial, done) for trial in trials)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        of = f" of {self._total}" if self._total else ""
        seconds = time.monotonic() - self._began
        head = f"Trials: {len(trials)}{of} ({counts}), {seconds:.1f} s"
        if done:
            # A search that ends by itself leaves no trial that has yet to end.
            return f"{head}, {'done' if all(trial.is_finished() for trial in trials) else 'interrupted'}"
        taken: Counter[str] = Counter()
        for trial in trials:
            if trial.status == Trial.RUNNING:
                taken.update(trial.placement_group_factory.required_resources)
        if taken:
            head += ", in use: " + ", ".join(f"{amount:g} {name}" for name, amount in sorted(taken.items()))
        ended = states[Trial.TERMINATED] + states[Trial.ERROR]
        known = ended - self._ended_before
        if self._total and known > 0 and ended < self._total:
            head += f", about {_span(seconds / known * (self._total - ended))} left"
        return head

    def _sorted(self, trials: list[Trial], done: bool) -> list[Trial]:
        """The trials by state, those that run first until the end; of one state the best first."""
        shown = list(trials)
        if self._metric:
            sign = 1 if self._mode == "max" else -1
            shown.sort(
                key=lambda trial: rank(sign * _or_nan(lookup(trial.last_result, self._metric or ""))), reverse=True
            )
        if not (self._sort and self._metric):
            shown.sort(key=lambda trial: (_ORDER if done else _LIVE_ORDER).index(trial.status))
        return shown

    def _rows(self, trials: list[Trial], done: bool) -> list[list[str]]:
        shown = self._sorted(trials, done)[: self._max_rows]
        parameters = self._parameter_columns or {
            name: name for trial in shown[:1] for name in list(trial.evaluated_params)[: self._infer_limit]
        }
        metrics = self._metric_columns
        if metrics is None:
            names = [*([self._metric] if self._metric else []), *_USUAL]
            metrics = {name: name for name in names if any(name in trial.last_result for trial in shown)}
        rows = [["trial", "status", *parameters.values(), *metrics.values()]]
        for trial in shown:
            values = [lookup(trial.config, name, "") for name in parameters]
            values += [lookup(trial.last_result, name, "") for name in metrics]
            rows.append([str(trial), _state(trial, done), *map(_cell, values)])
        return rows


class JupyterNotebookReporter(CLIReporter):
    """The same in a notebook's cell, where the last table takes the place of the one before.

    Args:
        overwrite: Whether it does.
        options: As of `CLIReporter`.
    """

    def __init__(self, overwrite: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self._overwrite = overwrite

    def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
        display: Any = import_module("IPython.display")
        if self._overwrite:
            display.clear_output(wait=True)
        display.display(display.HTML(self.html(trials, done, *sys_info)))

    def html(self, trials: list[Trial], done: bool, *sys_info: Any) -> str:
        """The table and the lines around it as HTML.

        Args:
            trials: All trials.
            done: Whether the search has ended.
            sys_info: Further lines.
        """
        lines = [self._head(trials, done), *map(str, sys_info), *self._best(trials)]
        head, *rows = self._rows(trials, done)
        parts = [f"<div>{html.escape(line)}</div>" for line in lines]
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        inner = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell[: self._max_length * 2])}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        parts.append(f"<table><thead><tr>{cells}</tr></thead><tbody>{inner}</tbody></table>")
        parts += [f"<div>{html.escape(line)}</div>" for line in self._failures(trials)]
        return "".join(parts)


_INTERRUPTED = "INTERRUPTED"
_ORDER = (Trial.TERMINATED, Trial.RUNNING, Trial.PAUSED, Trial.PENDING, Trial.ERROR)
_LIVE_ORDER = (Trial.RUNNING, Trial.PAUSED, Trial.TERMINATED, Trial.ERROR, Trial.PENDING)
_COLOURS = {
    Trial.TERMINATED: 32, Trial.RUNNING: 36, Trial.PAUSED: 33, Trial.PENDING: 90, Trial.ERROR: 31, _INTERRUPTED: 33,
}  # fmt: skip


def _state(trial: Trial, done: bool) -> str:
    """How it stands, as shown; a trial that still ran when the search ended does not run any more."""
    return _INTERRUPTED if done and trial.status == Trial.RUNNING else trial.status


def _titles(columns: Sequence[str] | Mapping[str, str] | None) -> dict[str, str] | None:
    if columns is None:
        return None
    return dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}


def _or_nan(value: Any) -> float:
    found = number(value)
    return float("nan") if found is None else found


def _cell(value: Any) -> str:
    if value is MISSING:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table(rows: list[list[str]], longest: int) -> list[str]:
    if len(rows) < 2:
        return []
    # The first column is the trial's name, by which it is looked up: it stays whole.
    cut = [
        [row[0], *(cell if len(cell) <= longest else f"{cell[: longest - 3]}..." for cell in row[1:])] for row in rows
    ]
    widths = [max(len(row[column]) for row in cut) for column in range(len(cut[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cut]


def _painted(line: str) -> str:
    """A line for a terminal: its state in that state's colour, the best in bold."""
    for state, colour in _COLOURS.items():
        before, found, after = line.partition(f"  {state}")
        if found:
            return f"{before}\x1b[{colour}m{found}\x1b[m{after}"
    return f"\x1b[1m{line}\x1b[m" if line.startswith(("Best ", "Trials: ")) else line


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _last_line(trial: Trial) -> str:
    return str(trial.error).strip().rpartition("\n")[2]


def report_progress(reporter: ProgressReporter | None, trials: list[Trial], done: bool = False) -> None:
    """Let a reporter report, if it is time.

    Args:
        reporter: The reporter; None reports nothing.
        trials: All trials.
        done: Whether the search has ended.
    """
    if reporter is not None and reporter.should_report(trials, done):
        reporter.report(trials, done)
