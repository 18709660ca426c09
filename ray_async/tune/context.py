"""Context of a trial: what its code may ask about itself."""

from __future__ import annotations

from typing import Any

from ray_async.air.session import current

__all__ = ("TuneContext", "get_context")


class TuneContext:
    """What a trial's code may ask about itself; each answer is None outside of a trial."""

    def _order(self) -> Any:
        return getattr(current(), "order", None)

    def get_experiment_name(self) -> str | None:
        """Name of the experiment."""
        return getattr(self._order(), "experiment_name", None)

    def get_trial_name(self) -> str | None:
        """The trial's name."""
        return getattr(self._order(), "name", None)

    def get_trial_id(self) -> str | None:
        """The trial's id."""
        return getattr(self._order(), "trial_id", None)

    def get_trial_resources(self) -> Any:
        """What the trial takes: a `PlacementGroupFactory`."""
        return getattr(self._order(), "resources", None)

    def get_trial_dir(self) -> str | None:
        """The trial's directory."""
        return getattr(self._order(), "path", None)


def get_context() -> TuneContext:
    """The context of the trial that runs in this process.

    Example:
        >>> get_context().get_trial_id() is None
        True
    """
    return TuneContext()
