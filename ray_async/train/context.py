"""Context of a training function: what it may ask about itself; a trial without a trainer is a world of one worker."""

from __future__ import annotations

from typing import Any

from ray_async.air.session import current
from ray_async.train.messages import WorldPlace

__all__ = ("TrainContext", "get_context")


class TrainContext:
    """What a training function may ask about itself; what belongs to a trial is None outside of one."""

    def _of_trial(self, name: str) -> Any:
        return getattr(getattr(current(), "order", None), name, None)

    def _place(self) -> WorldPlace:
        place: WorldPlace = getattr(current(), "place", WorldPlace())
        return place

    def get_experiment_name(self) -> str | None:
        """Name of the experiment."""
        name: str | None = self._of_trial("experiment_name")
        return name

    def get_trial_name(self) -> str | None:
        """The trial's name."""
        name: str | None = self._of_trial("name")
        return name

    def get_trial_id(self) -> str | None:
        """The trial's id."""
        trial_id: str | None = self._of_trial("trial_id")
        return trial_id

    def get_trial_resources(self) -> Any:
        """What the trial takes."""
        return self._of_trial("resources")

    def get_trial_dir(self) -> str | None:
        """The trial's directory."""
        path: str | None = self._of_trial("path")
        return path

    def get_world_size(self) -> int:
        """How many workers there are."""
        return self._place().world_size

    def get_world_rank(self) -> int:
        """Number of this worker."""
        return self._place().world_rank

    def get_local_rank(self) -> int:
        """Number of this worker on its node."""
        return self._place().local_rank

    def get_local_world_size(self) -> int:
        """How many workers there are on this node."""
        return self._place().local_world_size

    def get_node_rank(self) -> int:
        """Number of this node."""
        return self._place().node_rank


def get_context() -> TrainContext:
    """The context of the training function that runs in this process."""
    return TrainContext()
