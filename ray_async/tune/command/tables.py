"""Tables of the command: rows of trials and experiments, filtered, sorted and written."""

from __future__ import annotations

import argparse
import operator
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray_async.tune.execution.restoring import trials_of
from ray_async.tune.execution.search_spec import SPEC_FILE
from ray_async.tune.metric import flatten

__all__ = ("experiment_rows", "trial_rows", "written")

# Columns that are shown where none are named, if there are such.
_USUAL = (
    "name",
    "trainable_name",
    "trial_id",
    "status",
    "training_iteration",
    "time_total_s",
    "total_trials",
    "last_updated",
)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt,
}  # fmt: skip


def trial_rows(path: str) -> list[dict[str, Any]]:
    """A row for each trial of an experiment: its state, last result and config.

    Args:
        path: The experiment's directory.

    Raises:
        TuneError: It holds no experiment.
    """
    trials, _ = trials_of(os.path.abspath(os.path.expanduser(path)))
    rows = []
    for trial in trials:
        told = {name: value for name, value in flatten(trial.last_result).items() if not name.startswith("config")}
        fixed = {"trainable_name": trial.trainable_name, "trial_id": trial.trial_id, "status": trial.status}
        rows.append({**fixed, **told, **flatten(trial.config, "config/")})
    return rows


def experiment_rows(path: str) -> list[dict[str, Any]]:
    """A row for each experiment in a directory: how many trials it has, in which states.

    Args:
        path: The directory.

    Raises:
        ValueError: It holds no experiment.
    """
    folder = Path(path).expanduser()
    rows = []
    for child in sorted(folder.iterdir()):
        if not (child / SPEC_FILE).exists():
            continue
        trials, _ = trials_of(str(child.resolve()))
        states = Counter(f"{trial.status.lower()}_trials" for trial in trials)
        changed = max(file.stat().st_mtime for file in child.iterdir())
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(changed))
        rows.append({"name": child.name, "total_trials": len(trials), **states, "last_updated": when})
    if not rows:
        raise ValueError(f"there is no experiment in {folder}")
    return rows


def written(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> str:
    """The table as text, or a word of where it was written.

    Args:
        rows: The rows.
        arguments: Which rows and columns, in which order, and where they go.

    Raises:
        ValueError: A column that there is not, or a filter that is none.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if arguments.filter_op:
        rows = _filtered(rows, arguments.filter_op, columns)
    if arguments.sort:
        names = _known(arguments.sort, columns)
        down = str(arguments.desc).lower() in ("true", "1", "yes")
        rows = sorted(rows, key=lambda row: [_key(row.get(name)) for name in names], reverse=down)
    if arguments.limit is not None:
        rows = rows[: arguments.limit]
    if arguments.columns:
        columns = _known(arguments.columns, columns)
    elif not arguments.output:
        usual = [name for name in columns if name in _USUAL or name.endswith("_trials")]
        further = [name for name in columns if name not in usual and not name.startswith("config/")]
        columns = usual + [name for name in further if name not in _NOT_SHOWN]
    if arguments.output:
        return _to_file(rows, columns, arguments.output)
    return _text(rows, columns)


_NOT_SHOWN = frozenset(
    ("date", "done", "timestamp", "hostname", "node_ip", "pid", "checkpoint_dir_name", "experiment_tag",
     "time_since_restore", "iterations_since_restore", "time_this_iter_s")
)  # fmt: skip


def _known(names: str, columns: list[str]) -> list[str]:
    found = [name.strip() for name in names.split(",")]
    unknown = [name for name in found if name not in columns]
    if unknown:
        raise ValueError(f"there are no columns {unknown}; there are {columns}")
    return found


def _filtered(rows: list[dict[str, Any]], text: str, columns: list[str]) -> list[dict[str, Any]]:
    parts = text.split(None, 2)
    if len(parts) != 3 or parts[1] not in _OPERATORS:
        raise ValueError(f"a filter is '<column> <operator> <value>' with one of {list(_OPERATORS)}, but got {text!r}")
    (name,) = _known(parts[0], columns)
    wanted: Any = parts[2]
    chosen = []
    for row in rows:
        value = row.get(name)
        if isinstance(value, (int, float)):
            wanted = float(parts[2])
        if value is not None and _OPERATORS[parts[1]](value, wanted):
            chosen.append(row)
    return chosen


def _key(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def _to_file(rows: list[dict[str, Any]], columns: list[str], output: str) -> str:
    import pandas

    frame = pandas.DataFrame(rows, columns=columns)
    if output.endswith(".csv"):
        frame.to_csv(output, index=False)
    elif output.endswith((".pkl", ".pickle")):
        frame.to_pickle(output)
    else:
        raise ValueError(f"the output is a .csv or a .pkl file, but got {output!r}")
    return f"{len(frame)} rows in {output}"


def _text(rows: list[dict[str, Any]], columns: list[str]) -> str:
    if not rows:
        return "no rows"
    cells = [columns, *[[_cell(row.get(name, "")) for name in columns] for row in rows]]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    # What the terminal has no room for is left out, and named.
    room, shown = shutil.get_terminal_size().columns, 0
    while shown < len(widths) and (shown == 0 or room - widths[shown] >= 0):
        room -= widths[shown] + 2
        shown += 1
    lines = ["  ".join(row[n].ljust(widths[n]) for n in range(shown)).rstrip() for row in cells]
    if shown < len(columns):
        lines.append(f"not shown: {', '.join(columns[shown:])}")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
