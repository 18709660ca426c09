"""Run store: the directory of a training run outside of Tune, with its reports and checkpoints."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import time
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig
from ray_async.air.result import Result

__all__ = ("RunStore",)

_ROWS = "result.json"


class RunStore:
    """Takes the reports of a run, and keeps them in its directory; a run of the same name goes on there.

    Args:
        path: The directory.
        keep: Which checkpoints stay.
    """

    def __init__(self, path: str, keep: CheckpointConfig) -> None:
        os.makedirs(path, exist_ok=True)
        self.path = path
        self._keep = keep
        self._began = self._last = time.monotonic()
        self.rows: list[dict[str, Any]] = _read(os.path.join(path, _ROWS))
        self._kept = [row for row in self.rows if row["checkpoint_dir_name"] and self._holds(row)]
        self._iteration = int(self.rows[-1]["training_iteration"]) if self.rows else 0
        self._before = float(self.rows[-1]["time_total_s"]) if self.rows else 0.0
        # The one that a run is to begin with, if it has none of its own.
        self.begin_with: Checkpoint | None = None

    def _holds(self, row: dict[str, Any]) -> bool:
        return os.path.isdir(os.path.join(self.path, row["checkpoint_dir_name"]))

    def begin(self) -> None:
        """Another start: it goes on behind its latest checkpoint, and reports after that are made again."""
        last = self._kept[-1]["training_iteration"] if self._kept else 0
        self.rows = [row for row in self.rows if row["training_iteration"] <= last]
        self._iteration = last
        self._before = float(self.rows[-1]["time_total_s"]) if self.rows else 0.0
        self._began = self._last = time.monotonic()
        self._write()

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Take metrics.

        Args:
            metrics: The metrics.
            checkpoint: None: those of workers come by `report_stored`.
        """
        self._add(metrics, None)

    def new_checkpoint(self) -> tuple[str, str]:
        """Name of the next checkpoint, and the directory to write it to until it is complete."""
        number = 1 + max((int(row["checkpoint_dir_name"].rpartition("_")[2]) for row in self._kept), default=-1)
        name = f"checkpoint_{number:06d}"
        folder = os.path.join(self.path, f".{name}.part")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        return name, folder

    def report_stored(self, metrics: dict[str, Any], name: str, folder: str, done: bool) -> None:
        """Take metrics with a checkpoint.

        Args:
            metrics: The metrics.
            name: The checkpoint's name.
            folder: The directory that it was written to.
            done: Not used: a run ends when its functions do.
        """
        target = os.path.join(self.path, name)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(folder, target)
        self._kept.append(self._add(metrics, name))
        for row in self._surplus():
            shutil.rmtree(os.path.join(self.path, row["checkpoint_dir_name"]), ignore_errors=True)

    def get_checkpoint(self) -> Checkpoint | None:
        """The checkpoint to go on from."""
        return self._checkpoint(self._kept[-1]) if self._kept else self.begin_with

    def result(self, error: BaseException | None = None) -> Result:
        """The run's outcome so far.

        Args:
            error: Why it failed.
        """
        return Result(
            dict(self.rows[-1]) if self.rows else {},
            checkpoint=self._checkpoint(self._kept[-1]) if self._kept else None,
            error=error,
            path=self.path,
            rows=lambda: self.rows,
            best_checkpoints=[(self._checkpoint(row), row) for row in self._kept],
        )

    def _checkpoint(self, row: dict[str, Any]) -> Checkpoint:
        return Checkpoint(os.path.join(self.path, row["checkpoint_dir_name"]))

    def _add(self, metrics: dict[str, Any], name: str | None) -> dict[str, Any]:
        now = time.monotonic()
        self._iteration += 1
        row = {
            **metrics,
            "training_iteration": self._iteration,
            "time_this_iter_s": now - self._last,
            "time_total_s": self._before + now - self._began,
            "timestamp": int(time.time()),
            "date": time.strftime("%Y-%m-%d_%H-%M-%S"),
            "pid": os.getpid(),
            "hostname": socket.gethostname(),
            "checkpoint_dir_name": name,
        }
        self._last = now
        self.rows.append(row)
        with open(os.path.join(self.path, _ROWS), "a") as file:
            file.write(_line(row))
        return row

    def _write(self) -> None:
        path = os.path.join(self.path, _ROWS)
        with open(f"{path}.part", "w") as file:
            file.writelines(map(_line, self.rows))
        os.replace(f"{path}.part", path)

    def _surplus(self) -> list[dict[str, Any]]:
        keep, name = self._keep.num_to_keep, self._keep.checkpoint_score_attribute
        if keep is None or len(self._kept) <= keep:
            return []
        order = list(range(len(self._kept)))
        if name is not None:
            sign = 1 if self._keep.checkpoint_score_order == "max" else -1
            order.sort(key=lambda index: (_score(self._kept[index].get(name), sign), index))
        stay = {*order[-keep:], len(self._kept) - 1}
        gone = [row for index, row in enumerate(self._kept) if index not in stay]
        self._kept = [row for index, row in enumerate(self._kept) if index in stay]
        return gone


def _read(path: str) -> list[dict[str, Any]]:
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("}\n")]


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    """Numbers of libraries as Python's, anything else as a text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def _score(value: Any, sign: int) -> float:
    """A key that sorts scores: what is no number comes first."""
    if not isinstance(value, (int, float)) or math.isnan(value):
        return -math.inf
    return sign * value
