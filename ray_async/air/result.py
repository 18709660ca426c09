"""Result: the outcome of one run or trial."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.trial_files import TrialFiles

__all__ = ("Result",)

# Filled in for each result, and of no interest where a result is shown in short.
_NOT_SHOWN = frozenset(
    (
        "checkpoint_dir_name",
        "config",
        "date",
        "done",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "time_this_iter_s",
        "time_total_s",
        "timestamp",
        "training_iteration",
        "trial_id",
    )
)


class Result:
    """Outcome of one run or trial.

    Args:
        metrics: What was reported last, with what is filled in.
        checkpoint: The latest checkpoint.
        error: Why it failed; None if it did not.
        path: Its directory.
        rows: Gives all that was reported, in order, when somebody asks.
        best_checkpoints: Checkpoints that are kept, each with what was reported with it.
        filesystem: A file system of pyarrow on which the path lies; None: this machine's.
        metrics_dataframe: All that was reported as a frame of pandas, where that is at hand already.
    """

    def __init__(
        self,
        metrics: dict[str, Any],
        checkpoint: Checkpoint | None = None,
        error: BaseException | None = None,
        path: str = "",
        rows: Callable[[], Sequence[Mapping[str, Any]]] | None = None,
        best_checkpoints: Sequence[tuple[Checkpoint, dict[str, Any]]] | None = (),
        filesystem: Any = None,
        metrics_dataframe: Any = None,
    ) -> None:
        self.metrics = metrics
        self.checkpoint = checkpoint
        self.error = error
        self.path = path
        self.best_checkpoints = list(best_checkpoints or ())
        # What the training function of rank 0 has returned, where a trainer ran it.
        self.return_value: Any = None
        self._filesystem = filesystem
        self._rows = rows
        self._frame: Any = metrics_dataframe

    @property
    def config(self) -> dict[str, Any] | None:
        """The config."""
        return self.metrics.get("config")

    @property
    def filesystem(self) -> Any:
        """The file system of pyarrow on which the path lies."""
        if self._filesystem is None:
            import pyarrow.fs

            self._filesystem = pyarrow.fs.LocalFileSystem()
        return self._filesystem

    @property
    def metrics_dataframe(self) -> Any:
        """All that was reported, a row for each report, as a frame of pandas; None if nothing was."""
        if self._frame is None and self._rows is not None:
            import pandas

            rows = [_flat(row) for row in self._rows()]
            self._frame = pandas.DataFrame(rows) if rows else None
        return self._frame

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The checkpoint whose metric is best, NaN never.

        Args:
            metric: The metric's name, or its path in a nest.
            mode: ``"min"`` or ``"max"``.

        Returns:
            The checkpoint; None if there are no checkpoints.

        Raises:
            ValueError: Another mode.
            RuntimeError: No checkpoint came with that metric.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but is {mode!r}")
        if not self.best_checkpoints:
            return None
        found: list[tuple[float, int]] = []
        names: set[str] = set()
        for index, (_, metrics) in enumerate(self.best_checkpoints):
            value = metrics.get(metric, _flat(metrics).get(metric))
            names.update(_flat(metrics))
            if isinstance(value, (int, float)) and not math.isnan(value):
                found.append((value if mode == "max" else -value, index))
        if not found:
            raise RuntimeError(f"no checkpoint came with a number for {metric!r}; there are {sorted(names)}")
        return self.best_checkpoints[max(found)[1]][0]

    @classmethod
    def from_path(cls, path: str | os.PathLike[str], storage_filesystem: Any = None) -> Result:
        """The result that a directory of a trial holds, wherever it lies by now.

        Args:
            path: The directory.
            storage_filesystem: A file system of pyarrow on which the directory lies; None: this machine's.

        Raises:
            RuntimeError: It holds no result.
        """
        files = TrialFiles(path, storage_filesystem)
        written = files.read("result.json")
        if written is None:
            raise RuntimeError(f"there is no result.json in {files.path}")
        rows = [json.loads(line) for line in written.decode().splitlines() if line.endswith("}")]
        metrics = dict(rows[-1]) if rows else {}
        parameters, error = files.read("params.pkl"), files.read("error.pkl")
        if parameters is not None:
            metrics["config"] = pickle.loads(parameters)
        by_name = {row["checkpoint_dir_name"]: row for row in rows if row.get("checkpoint_dir_name")}
        kept = [
            (Checkpoint(os.path.join(files.path, name), storage_filesystem), by_name.get(name, {}))
            for name in files.folders("checkpoint_")
        ]
        return cls(
            metrics,
            checkpoint=kept[-1][0] if kept else None,
            error=pickle.loads(error) if error is not None else None,
            path=files.path,
            rows=lambda: rows,
            best_checkpoints=kept,
        )

    def __repr__(self) -> str:
        shown = {name: value for name, value in self.metrics.items() if name not in _NOT_SHOWN}
        system = "local" if self._filesystem is None else self._filesystem.type_name
        lines = [f"error={type(self.error).__name__!r}"] if self.error is not None else []
        lines += [f"metrics={shown}", f"path={self.path!r}", f"filesystem={system!r}", f"checkpoint={self.checkpoint}"]
        return "Result(\n  " + ",\n  ".join(lines) + "\n)"


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, f"{name}/"))
        else:
            flat[name] = value
    return flat
