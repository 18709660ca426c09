"""Trial files: params.json, result.json and progress.csv, as Ray's programs look for them.

What trials report is kept until a trial has ended, or for a second: then it is written in one go, and no file stays
open.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from typing import TYPE_CHECKING, Any

import cloudpickle

from ray_async.tune.json_values import json_text, json_value
from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.metric import flatten

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("CSVLoggerCallback", "JsonLoggerCallback")

FLUSH_SECONDS = 1.0


class _Batched(LoggerCallback):
    """Keeps results of each trial until they are written."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._trials: dict[str, Trial] = {}
        self._written = time.monotonic()

    def log_trial_start(self, trial: Trial) -> None:
        # A retry, or a trial that goes on, does not repeat what lies behind the checkpoint that it goes on from.
        self._trials[trial.trial_id] = trial
        self._rows.setdefault(trial.trial_id, [])

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        self._rows.setdefault(trial.trial_id, []).append(dict(result))
        now = time.monotonic()
        if now - self._written > FLUSH_SECONDS:
            self._written = now
            for trial_id in list(self._rows):
                self._flush(self._trials.get(trial_id, trial))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._flush(trial)
        self._rows.pop(trial.trial_id, None)
        self._trials.pop(trial.trial_id, None)

    def _flush(self, trial: Trial) -> None:
        rows = self._rows.get(trial.trial_id)
        if not rows or trial.path is None:
            return
        self._rows[trial.trial_id] = []
        os.makedirs(trial.path, exist_ok=True)
        self.write(trial, rows)

    def write(self, trial: Trial, rows: list[dict[str, Any]]) -> None:
        """Write results of a trial.

        Args:
            trial: The trial.
            rows: Its results, in order.
        """
        raise NotImplementedError


def _replace(path: str, data: bytes) -> None:
    with open(f"{path}.part", "wb") as file:
        file.write(data)
    os.replace(f"{path}.part", path)


def _whole_lines(path: str) -> bytes:
    """What a file holds up to its last line break: what a killed process has left behind that is no line."""
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        data = file.read()
    return data[: data.rfind(b"\n") + 1]


class JsonLoggerCallback(_Batched):
    """Writes params.json, params.pkl, a line of result.json for each report; error.txt, error.pkl of failures."""

    def __init__(self) -> None:
        super().__init__()
        self._configs: dict[str, str] = {}

    def write(self, trial: Trial, rows: list[dict[str, Any]]) -> None:
        assert trial.path is not None
        self._write_config(trial)
        path = os.path.join(trial.path, "result.json")
        first = rows[0]["training_iteration"]
        known = _whole_lines(path)
        if known and rows[0]["iterations_since_restore"] == 1:
            known = b"".join(line for line in known.splitlines(True) if _iteration(line) < first)
            _replace(path, known)
        with open(path, "ab") as file:
            file.write("".join(json_text(row) + "\n" for row in rows).encode())

    def _write_config(self, trial: Trial) -> None:
        text = json_text(trial.config)
        if self._configs.get(trial.trial_id) == text:
            return
        self._configs[trial.trial_id] = text
        assert trial.path is not None
        _replace(os.path.join(trial.path, "params.json"), text.encode())
        _replace(os.path.join(trial.path, "params.pkl"), cloudpickle.dumps(trial.config))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        super().log_trial_end(trial, failed)
        self._configs.pop(trial.trial_id, None)
        if failed and trial.path is not None and trial.error is not None:
            os.makedirs(trial.path, exist_ok=True)
            trial.error_file = os.path.join(trial.path, "error.txt")
            _replace(trial.error_file, f"{trial.error}\n".encode())
            _replace(os.path.join(trial.path, "error.pkl"), cloudpickle.dumps(trial.error))


def _iteration(line: bytes) -> int:
    return int(json.loads(line).get("training_iteration", 0))


class CSVLoggerCallback(_Batched):
    """Writes a row of progress.csv for each report; columns that come later are added to the rows before."""

    def write(self, trial: Trial, rows: list[dict[str, Any]]) -> None:
        assert trial.path is not None
        path = os.path.join(trial.path, "progress.csv")
        known = list(csv.DictReader(io.StringIO(_whole_lines(path).decode(), newline="")))
        if rows[0]["iterations_since_restore"] == 1:
            first = rows[0]["training_iteration"]
            known = [row for row in known if int(row["training_iteration"]) < first]
        flat = [_cells(row) for row in rows]
        columns = list(dict.fromkeys(name for row in [*known, *flat] for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*known, *flat])
        _replace(path, text.getvalue().encode())


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {name: json_value(value) for name, value in flatten(row).items()}
