"""Stopper: the interface of what ends trials, or a whole search, by results; and those made of others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ("CombinedStopper", "FunctionStopper", "NoopStopper", "Stopper")


class Stopper:
    """Interface of stoppers. `__call__` ends a trial, `stop_all` the search."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Tell whether a trial is to end.

        Args:
            trial_id: The trial.
            result: Its last result.
        """
        raise NotImplementedError

    def stop_all(self) -> bool:
        """Tell whether the whole search is to end."""
        raise NotImplementedError


class NoopStopper(Stopper):
    """Ends nothing."""

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return False


class CombinedStopper(Stopper):
    """Ends what any of several stoppers ends.

    Args:
        stoppers: The stoppers.

    Example:
        >>> stopper = CombinedStopper(NoopStopper(), FunctionStopper(lambda trial_id, result: result["loss"] < 1))
        >>> stopper("a", {"loss": 0.5})
        True
    """

    def __init__(self, *stoppers: Stopper) -> None:
        self._stoppers = stoppers

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        # All are asked, since they keep account of what they see.
        answers = [stopper(trial_id, result) for stopper in self._stoppers]
        return any(answers)

    def stop_all(self) -> bool:
        answers = [stopper.stop_all() for stopper in self._stoppers]
        return any(answers)


class FunctionStopper(Stopper):
    """Ends trials by a function.

    Args:
        function: Gets a trial's id and its last result, and tells whether the trial is to end.

    Raises:
        ValueError: No function of two arguments.
    """

    def __init__(self, function: Callable[[str, dict[str, Any]], bool]) -> None:
        if not callable(function):
            raise ValueError(f"FunctionStopper takes a function, but got {function!r}")
        try:
            inspect.signature(function).bind("id", {})
        except TypeError:
            raise ValueError(f"a stop function takes a trial's id and a result, but got {function!r}") from None
        self._function = function

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return bool(self._function(trial_id, result))

    def stop_all(self) -> bool:
        return False

    @classmethod
    def is_valid_function(cls, function: Any) -> bool:
        """Tell whether something is a function and no stopper."""
        return callable(function) and not isinstance(function, Stopper)
