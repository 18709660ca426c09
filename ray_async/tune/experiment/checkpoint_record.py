"""Checkpoint records: the checkpoints of a trial, and which of them stay."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.config import CheckpointConfig
from ray_async.tune.metric import rank, score

__all__ = ("STATE_FILE", "CheckpointRecord", "KeptCheckpoints", "saved_state")

# What `Trainable.save` writes beside the user's files.
STATE_FILE = ".tune_metadata"


@dataclass(frozen=True, slots=True)
class CheckpointRecord:
    """A checkpoint, and what was reported with it.

    Args:
        checkpoint: The files.
        metrics: The result that came with it.
        iteration: The training iteration at which it was taken.
        time_total: Seconds that the trial had trained by then.
    """

    checkpoint: Checkpoint
    metrics: dict[str, Any]
    iteration: int
    time_total: float


@dataclass
class KeptCheckpoints:
    """Checkpoints of a trial in the order in which they came: the best, and always the latest.

    Args:
        config: How many stay, and by which metric.
    """

    config: CheckpointConfig
    records: list[CheckpointRecord] = field(default_factory=list)
    pinned: list[CheckpointRecord] = field(default_factory=list)

    @property
    def latest(self) -> CheckpointRecord | None:
        """The last one that came."""
        return self.records[-1] if self.records else None

    def add(self, record: CheckpointRecord) -> list[CheckpointRecord]:
        """Add one.

        Args:
            record: The new one.

        Returns:
            Those that go: of equal ones the newer stays, and those without a number go first.
        """
        self.records.append(record)
        return self.surplus()

    def surplus(self) -> list[CheckpointRecord]:
        """Remove what goes by now, and return it."""
        keep = self.config.num_to_keep
        if keep is None or len(self.records) <= keep:
            return []
        name = self.config.checkpoint_score_attribute
        order = self.config.checkpoint_score_order
        indices = list(range(len(self.records)))
        if name is not None:
            indices.sort(key=lambda index: (*rank(score(self.records[index].metrics, name, order)), index))
        stay = {*indices[-keep:], len(self.records) - 1}
        gone = [record for i, record in enumerate(self.records) if i not in stay and record not in self.pinned]
        self.records = [record for record in self.records if record not in gone]
        return gone

    def best(self, metric: str, mode: str) -> CheckpointRecord | None:
        """The one whose metric is best; None if none has a number.

        Args:
            metric: The metric's name.
            mode: ``"min"`` or ``"max"``.
        """
        scored = [(rank(score(record.metrics, metric, mode)), i) for i, record in enumerate(self.records)]
        scored = [entry for entry in scored if entry[0][0]]
        return self.records[max(scored)[1]] if scored else None


def saved_state(path: str) -> CheckpointRecord:
    """A checkpoint of another search, or one made by hand, as a record from which trials can begin.

    Args:
        path: Its directory.

    Raises:
        FileNotFoundError: There is none.
    """
    checkpoint = Checkpoint(os.path.abspath(os.path.expanduser(path)))
    with checkpoint.as_directory() as folder:
        file = Path(folder, STATE_FILE)
        state = pickle.loads(file.read_bytes()) if file.exists() else {}
    return CheckpointRecord(
        checkpoint, state.get("last_result", {}), state.get("iteration", 0), state.get("time_total", 0.0)
    )
