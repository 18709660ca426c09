"""Concurrency limiter: a searcher around another one, that suggests only while few trials are live."""

from __future__ import annotations

from typing import Any

from ray_async.tune.search.searcher import INNER, Searcher

__all__ = ("ConcurrencyLimiter",)


class ConcurrencyLimiter(Searcher):
    """Lets a searcher suggest only while fewer than so many of its trials are live.

    Args:
        searcher: The other searcher.
        max_concurrent: How many trials may be live at once.
        batch: Whether results reach the other searcher when a whole batch has ended. A batch ends early when the other
            searcher suggests nothing more.

    Raises:
        ValueError: A limit below 1, or no searcher.

    Example:
        >>> limited = ConcurrencyLimiter(OptunaSearch(), max_concurrent=4)  # doctest: +SKIP
    """

    def __init__(self, searcher: Searcher, max_concurrent: int, batch: bool = False) -> None:
        if max_concurrent <= 0:
            raise ValueError(f"max_concurrent must be above 0, but is {max_concurrent}")
        if not isinstance(searcher, Searcher):
            raise ValueError(f"ConcurrencyLimiter limits a Searcher, but got {searcher!r}")
        self.searcher = searcher
        self.max_concurrent = max_concurrent
        self.batch = batch
        self.live_trials: set[str] = set()
        self.cached_results: dict[str, tuple[dict[str, Any] | None, bool, bool]] = {}
        self._limited_by_searcher = searcher.set_max_concurrency(max_concurrent)
        super().__init__(searcher.metric, searcher.mode)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        self.max_concurrent = max_concurrent
        return self.searcher.set_max_concurrency(max_concurrent)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        taken = self.searcher.set_search_properties(metric, mode, config, **spec)
        self._metric, self._mode = self.searcher.metric, self.searcher.mode
        return taken

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self._limited_by_searcher and len(self.live_trials) >= self.max_concurrent:
            return None
        suggested = self.searcher.suggest(trial_id)
        if (
            suggested is None
            and self.batch
            and self.cached_results
            and len(self.cached_results) == len(self.live_trials)
        ):
            # All that are live have ended, and the searcher waits for their results: the batch will not get larger.
            self._flush()
            suggested = self.searcher.suggest(trial_id)
        if isinstance(suggested, dict):
            self.live_trials.add(trial_id)
        return suggested

    def replay(self, trial_id: str, config: dict[str, Any]) -> None:
        self.searcher.replay(trial_id, config)
        self.live_trials.add(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._ended(trial_id, result, error, stopped=False)

    def on_trial_stopped(self, trial_id: str, result: dict[str, Any] | None = None) -> None:
        self._ended(trial_id, result, error=False, stopped=True)

    def _ended(self, trial_id: str, result: dict[str, Any] | None, error: bool, stopped: bool) -> None:
        if trial_id not in self.live_trials:
            return
        self.cached_results[trial_id] = result, error, stopped
        if not self.batch or len(self.cached_results) >= self.max_concurrent:
            self._flush()

    def _flush(self) -> None:
        for trial_id, (result, error, stopped) in self.cached_results.items():
            if stopped:
                self.searcher.on_trial_stopped(trial_id, result)
            else:
                self.searcher.on_trial_complete(trial_id, result, error=error)
            self.live_trials.discard(trial_id)
        self.cached_results.clear()

    def on_pause(self, trial_id: str) -> None:
        """A trial was paused."""
        if hasattr(self.searcher, "on_pause"):
            self.searcher.on_pause(trial_id)

    def add_evaluated_point(self, parameters: dict[str, Any], value: float, *args: Any, **kwargs: Any) -> None:
        self.searcher.add_evaluated_point(parameters, value, *args, **kwargs)

    def get_state(self) -> dict[str, Any]:
        own = {name: value for name, value in self.__dict__.items() if name != "searcher"}
        return {**own, INNER: self.searcher.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        own = dict(state)
        self.searcher.set_state(own.pop(INNER))
        super().set_state(own)
