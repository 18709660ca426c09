"""Repeater: a searcher around another one, whose configs are each tried several times and told as a mean."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from ray_async.tune.metric import lookup, number
from ray_async.tune.search.searcher import INNER, Searcher

__all__ = ("TRIAL_INDEX", "Repeater")

TRIAL_INDEX = "__trial_index__"


@dataclass
class _Repetition:
    """Trials of one config."""

    leader: str
    config: dict[str, Any]
    trials: list[str] = field(default_factory=list)
    values: dict[str, float | None] = field(default_factory=dict)


class Repeater(Searcher):
    """Tries each config of a searcher several times, and tells it the mean.

    Args:
        searcher: The other searcher.
        repeat: How often.
        set_index: Whether a config gets the number of its repetition as ``__trial_index__``.
    """

    def __init__(self, searcher: Searcher, repeat: int = 1, set_index: bool = True) -> None:
        self.searcher = searcher
        self.repeat = repeat
        self._set_index = set_index
        self._groups: list[_Repetition] = []
        self._group_of: dict[str, _Repetition] = {}
        super().__init__(searcher.metric, searcher.mode)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        taken = self.searcher.set_search_properties(metric, mode, config, **spec)
        self._metric, self._mode = self.searcher.metric, self.searcher.mode
        return taken

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        return self.searcher.set_max_concurrency(max_concurrent)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self._groups or len(self._groups[-1].trials) >= self.repeat:
            suggested = self.searcher.suggest(trial_id)
            if not isinstance(suggested, dict):
                return suggested
            self._groups.append(_Repetition(trial_id, suggested))
        group = self._groups[-1]
        index = len(group.trials)
        group.trials.append(trial_id)
        self._group_of[trial_id] = group
        config = copy.deepcopy(group.config)
        if self._set_index:
            config[TRIAL_INDEX] = index
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        group = self._group_of.pop(trial_id, None)
        if group is None:
            return
        group.values[trial_id] = number(lookup(result, self.metric or "")) if result and not error else None
        if len(group.values) < self.repeat:
            return
        known = [value for value in group.values.values() if value is not None]
        told = {self.metric or "": sum(known) / len(known)} if known else None
        self.searcher.on_trial_complete(group.leader, told, error=not known)
        self._groups.remove(group)

    def get_state(self) -> dict[str, Any]:
        own = {name: value for name, value in self.__dict__.items() if name != "searcher"}
        return {**own, INNER: self.searcher.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        own = dict(state)
        self.searcher.set_state(own.pop(INNER))
        super().set_state(own)
