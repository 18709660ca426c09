"""Trainable: the base of classes that are trained step by step."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.experiment.checkpoint_record import STATE_FILE
from ray_async.tune.placement_groups import PlacementGroupFactory

__all__ = ("Trainable", "TrainingResult")

_DICT = "_dict_checkpoint.pkl"


@dataclass(frozen=True)
class TrainingResult:
    """A checkpoint that `Trainable.save` has made.

    Args:
        checkpoint: The files.
        metrics: The last result.
    """

    checkpoint: Checkpoint
    metrics: dict[str, Any]


class Trainable:
    """Base of classes that are trained step by step: subclasses override `setup` and `step`, and what they need.

    Args:
        config: The config.
        trial: What is run, when Tune makes the object.

    Example:
        >>> class Slope(Trainable):
        ...     def setup(self, config):
        ...         self.x = 0
        ...     def step(self):
        ...         self.x += self.config["a"]
        ...         return {"x": self.x}
        >>> slope = Slope({"a": 2})
        >>> slope.train()["x"], slope.train()["x"], slope.iteration
        (2, 4, 2)
    """

    def __init__(self, config: Mapping[str, Any] | None = None, *, trial: Any = None) -> None:
        self.config: dict[str, Any] = dict(config or {})
        self.trial = trial
        self.iteration_base = 0
        self._time_total = 0.0
        self._since_restore = 0
        self._time_since_restore = 0.0
        self._last_result: dict[str, Any] = {}
        self._stopped = False
        self.setup(copy.copy(self.config))

    # What subclasses override.

    def setup(self, config: dict[str, Any]) -> None:
        """Prepare.

        Args:
            config: The config.
        """

    def step(self) -> dict[str, Any]:
        """Train for one iteration.

        Returns:
            Metrics; ``done: True`` ends the trial, ``should_checkpoint: True`` saves it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no step()")

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | None:
        """Save the state into a directory, or return it as a dict.

        Args:
            checkpoint_dir: The directory.
        """
        raise NotImplementedError(f"{type(self).__name__} has no save_checkpoint()")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Load the state.

        Args:
            checkpoint: The dict that `save_checkpoint` returned, or the directory that it wrote to.
        """
        raise NotImplementedError(f"{type(self).__name__} has no load_checkpoint()")

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another config for another trial, with ``reuse_actors``.

        Args:
            new_config: The config.

        Returns:
            Whether the object can be used on.
        """
        return False

    def cleanup(self) -> None:
        """Give back what `setup` took."""

    def log_result(self, result: dict[str, Any]) -> None:
        """Take note of a result."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory | None:
        """What a trial takes; None: as usual.

        Args:
            config: Its config.
        """
        return None

    @classmethod
    def resource_help(cls, config: dict[str, Any]) -> str:
        """Advice about resources."""
        return ""

    def export_model(self, export_formats: Any, export_dir: str | None = None) -> dict[str, str]:
        """Export the model; subclasses override this, or `_export_model` as Ray's do.

        Args:
            export_formats: One format or several.
            export_dir: The directory; the trial's by default.

        Returns:
            Paths of what was exported, by format.
        """
        formats = [export_formats] if isinstance(export_formats, str) else list(export_formats)
        return self._export_model(formats, export_dir or self.logdir or os.getcwd())

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        return {}

    # What users call.

    @property
    def iteration(self) -> int:
        """How many iterations were trained, earlier starts included."""
        return self.iteration_base

    @property
    def training_iteration(self) -> int:
        """The same."""
        return self.iteration_base

    @property
    def trial_id(self) -> str:
        """The trial's id; ``"default"`` outside of one."""
        return self.trial.trial_id if self.trial is not None else "default"

    @property
    def trial_name(self) -> str:
        """The trial's name; ``"default"`` outside of one."""
        return self.trial.name if self.trial is not None else "default"

    @property
    def trial_resources(self) -> PlacementGroupFactory | None:
        """What the trial takes."""
        return self.trial.resources if self.trial is not None else None

    @property
    def logdir(self) -> str | None:
        """The trial's directory."""
        return self.trial.path if self.trial is not None else None

    def get_config(self) -> dict[str, Any]:
        """The config."""
        return self.config

    def train_once(self) -> dict[str, Any]:
        """Call `step`, and check what it returns.

        Raises:
            ValueError: It is no dict.
        """
        began = time.monotonic()
        result = self.step()
        if not isinstance(result, dict):
            raise ValueError(f"{type(self).__name__}.step() must return a dict of metrics, but returned {result!r}")
        spent = time.monotonic() - began
        self._time_total += spent
        self._time_since_restore += spent
        self._since_restore += 1
        result = dict(result)
        self.log_result(result)
        self._last_result = result
        return result

    def train(self) -> dict[str, Any]:
        """Train for one iteration by hand.

        Returns:
            The metrics, with what is filled in.
        """
        result = self.train_once()
        self.iteration_base += 1
        result.setdefault("done", False)
        result["training_iteration"] = self.iteration_base
        result["time_total_s"] = self._time_total
        result["time_since_restore"] = self._time_since_restore
        result["iterations_since_restore"] = self._since_restore
        result["trial_id"] = self.trial_id
        result["config"] = self.config
        return result

    def can_be_saved(self) -> bool:
        """Tell whether the class has a `save_checkpoint`."""
        return type(self).save_checkpoint is not Trainable.save_checkpoint

    def save(self, checkpoint_dir: str | None = None) -> TrainingResult:
        """Save the state.

        Args:
            checkpoint_dir: The directory; a new temporary one by default.
        """
        folder = checkpoint_dir or tempfile.mkdtemp(prefix="checkpoint_")
        os.makedirs(folder, exist_ok=True)
        returned: Any = self.save_checkpoint(folder)
        if isinstance(returned, dict):
            Path(folder, _DICT).write_bytes(pickle.dumps(returned))
        elif returned is not None and os.path.abspath(str(returned)) != os.path.abspath(folder):
            raise ValueError(
                f"save_checkpoint returns a dict, None or the directory that it was given, but returned {returned!r}"
            )
        state = {"iteration": self.iteration_base, "time_total": self._time_total, "last_result": self._last_result}
        Path(folder, STATE_FILE).write_bytes(pickle.dumps(state))
        return TrainingResult(Checkpoint(folder), dict(self._last_result))

    def restore(self, checkpoint_path: str | Checkpoint | TrainingResult) -> None:
        """Load a state that `save` has written.

        Args:
            checkpoint_path: The directory, or the checkpoint.
        """
        if isinstance(checkpoint_path, TrainingResult):
            checkpoint_path = checkpoint_path.checkpoint
        checkpoint = checkpoint_path if isinstance(checkpoint_path, Checkpoint) else Checkpoint(checkpoint_path)
        with checkpoint.as_directory() as folder:
            saved = Path(folder, _DICT)
            self.load_checkpoint(pickle.loads(saved.read_bytes()) if saved.exists() else folder)
            state_file = Path(folder, STATE_FILE)
            if state_file.exists():
                state = pickle.loads(state_file.read_bytes())
                self.iteration_base = state["iteration"]
                self._time_total = state["time_total"]
                self._last_result = state["last_result"]
        self._since_restore, self._time_since_restore = 0, 0.0

    def reset(self, new_config: dict[str, Any], logger_creator: Any = None, storage: Any = None) -> bool:
        """Take another config.

        Returns:
            Whether the object can be used on.
        """
        if not self.reset_config(new_config):
            return False
        self.config = dict(new_config)
        self.iteration_base = 0
        self._time_total = self._time_since_restore = 0.0
        self._since_restore = 0
        self._last_result = {}
        return True

    def stop(self) -> None:
        """End: calls `cleanup` once."""
        if not self._stopped:
            self._stopped = True
            self.cleanup()

    def get_state(self) -> dict[str, Any]:
        """Iteration, times and last result."""
        return {"iteration": self.iteration_base, "time_total": self._time_total, "last_result": self._last_result}

    def is_actor(self) -> bool:
        """Tell whether the object lives in an actor."""
        return self.trial is not None
