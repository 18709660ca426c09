"""Stop criteria: whether a result ends its trial, by thresholds, functions and stoppers."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.metric import MISSING, lookup
from ray_async.tune.stopper.stopper import CombinedStopper, FunctionStopper, Stopper

__all__ = ("StopCriteria",)

_logger = logging.getLogger("ray_async.tune")


class StopCriteria:
    """What `RunConfig(stop=...)` says.

    Args:
        stop: Thresholds by metric (a trial ends at or above one), a function of trial id and result, a `Stopper`, a
            list of stoppers, or None.

    Raises:
        ValueError: A list that holds something else, or nothing of these.
    """

    def __init__(self, stop: Any = None) -> None:
        self.thresholds: Mapping[str, float] = {}
        self.stopper: Stopper | None = None
        self._missed: set[str] = set()
        if stop is None:
            return
        if isinstance(stop, Mapping):
            self.thresholds = dict(stop)
        elif isinstance(stop, Stopper):
            self.stopper = stop
        elif isinstance(stop, Sequence) and not isinstance(stop, str):
            if not stop or not all(isinstance(one, Stopper) for one in stop):
                raise ValueError(f"a list for stop holds stoppers alone, but got {stop!r}")
            self.stopper = CombinedStopper(*stop)
        elif callable(stop):
            self.stopper = FunctionStopper(stop)
        else:
            raise ValueError(f"stop takes a dict, a function, a Stopper or a list of stoppers, but got {stop!r}")

    @property
    def is_empty(self) -> bool:
        """Whether nothing ends a trial."""
        return not self.thresholds and self.stopper is None

    def ends(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tell whether a result ends its trial.

        Args:
            trial_id: The trial.
            result: All that was reported and filled in.
        """
        for name, threshold in self.thresholds.items():
            value = lookup(result, name)
            if value is MISSING:
                self._warn(name)
            elif value >= threshold:
                return True
        return self.stopper is not None and bool(self.stopper(trial_id, result))

    def ends_all(self) -> bool:
        """Tell whether the whole search is to end."""
        return self.stopper is not None and bool(self.stopper.stop_all())

    def _warn(self, name: str) -> None:
        if name not in self._missed:
            self._missed.add(name)
            _logger.warning("stop names the metric %r, which a trial did not report: it ends nothing there", name)
