"""Search algorithm: the interface of what makes the trials of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ("SearchAlgorithm", "Suggestion")


class Suggestion(NamedTuple):
    """A trial that is to be made.

    Args:
        trial_id: Its id.
        config: Its config.
        drawn: The values that were drawn or suggested, by path.
    """

    trial_id: str
    config: dict[str, Any]
    drawn: Mapping[tuple[Any, ...], Any]


class SearchAlgorithm:
    """Interface of what makes the trials of a search, and learns of their results if it can."""

    # Whether results change what comes next: then trials are made one by one, when there is room for them.
    learns = True

    def setup(self, space: Mapping[str, Any], num_samples: int, prefix: str) -> None:
        """Begin.

        Args:
            space: The search space.
            num_samples: How many samples there are to be; -1: without end.
            prefix: What ids of trials begin with.
        """
        raise NotImplementedError

    def next_suggestion(self) -> Suggestion | None:
        """The next trial; None if there is none now."""
        raise NotImplementedError

    def replay(self, suggestion: Suggestion) -> None:
        """Take a trial that was made before the search was restored, as if it came next.

        Args:
            suggestion: The trial.
        """
        raise NotImplementedError

    def position(self) -> Any:
        """What a copy needs beside its pickle to go on from here, for `go_to`."""
        return None

    def go_to(self, position: Any) -> None:
        """Go on from where `position` was called, after unpickling.

        Args:
            position: What it gave.
        """

    def is_finished(self) -> bool:
        """Tell whether no more trials will come."""
        raise NotImplementedError

    @property
    def total_samples(self) -> int:
        """How many trials there will be; 0 if that is not known."""
        return 0

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Take metric, mode and search space from the search.

        Returns:
            Whether they were taken.
        """
        return True

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A trial has reported."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended."""

    def on_trial_stopped(self, trial_id: str, result: dict[str, Any] | None = None) -> None:
        """A trial was stopped by the scheduler before its own end."""
        self.on_trial_complete(trial_id, result)
