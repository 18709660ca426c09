"""Search generator: trials of what a searcher suggests."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from ray_async.tune.error import TuneError
from ray_async.tune.metric import flatten
from ray_async.tune.search.random_source import RandomSource, seed_of
from ray_async.tune.search.search_algorithm import SearchAlgorithm, Suggestion
from ray_async.tune.search.search_properties import take_search_properties
from ray_async.tune.search.searcher import Searcher
from ray_async.tune.search.variant_generator import (
    Path,
    assign,
    generate_variants,
    has_unresolved_values,
    unresolved_values,
)

__all__ = ("SearchGenerator",)


class SearchGenerator(SearchAlgorithm):
    """Makes trials of a searcher's suggestions, and tells it of their results.

    Args:
        searcher: The searcher.
    """

    def __init__(self, searcher: Searcher) -> None:
        if not isinstance(searcher, Searcher):
            raise TuneError(f"a search algorithm is a Searcher or a SearchAlgorithm, but got {searcher!r}")
        self.searcher = searcher
        self.learns = searcher.learns
        self._space: dict[str, Any] = {}
        self._num_samples = 0
        self._prefix = ""
        self._count = 0
        self._finished = False
        self._seed = seed_of(None)

    def setup(self, space: Mapping[str, Any], num_samples: int, prefix: str) -> None:
        self._space, self._num_samples, self._prefix = dict(space), num_samples, prefix

    @property
    def total_samples(self) -> int:
        return max(self._num_samples, 0)

    def extend(self, num_samples: int) -> None:
        """Let there be more samples.

        Args:
            num_samples: How many there are to be in all.
        """
        self._num_samples = max(self._num_samples, num_samples)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        taken: bool = take_search_properties(self.searcher.set_search_properties, metric, mode, config, spec)
        return taken

    def next_suggestion(self) -> Suggestion | None:
        if self.is_finished():
            return None
        trial_id = f"{self._prefix}_{self._count:05d}"
        suggested = self.searcher.suggest(trial_id)
        if suggested is None:
            return None
        if isinstance(suggested, str) and suggested == Searcher.FINISHED:
            self._finished = True
            return None
        if not isinstance(suggested, Mapping):
            raise TuneError(f"{type(self.searcher).__name__}.suggest must return a config, but gave {suggested!r}")
        self._count += 1
        return self._suggestion(trial_id, suggested)

    def _suggestion(self, trial_id: str, suggested: Mapping[str, Any]) -> Suggestion:
        values = dict(_leaves(suggested, self._space))
        config: Any = _containers(self._space)
        for path, value in values.items():
            config = _put(config, path, value)
        drawn = {path: value for path, value in values.items() if path not in self._constants()}
        if has_unresolved_values(config):
            source = RandomSource(random.Random((self._seed << 64) + self._count))
            for found, resolved in generate_variants(config, lambda _: source):
                return Suggestion(trial_id, resolved, {**drawn, **found})
        return Suggestion(trial_id, config, drawn)

    def _constants(self) -> set[Path]:
        domains = {path for path, _ in unresolved_values(self._space)}
        return {tuple(name.split("/")) for name in flatten(self._space)} - domains

    def replay(self, suggestion: Suggestion) -> None:
        self._count = max(self._count, int(suggestion.trial_id.rpartition("_")[2]) + 1)
        self.searcher.replay(suggestion.trial_id, suggestion.config)

    def is_finished(self) -> bool:
        return self._finished or 0 <= self._num_samples <= self._count

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        self.searcher.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.searcher.on_trial_complete(trial_id, result or None, error=error)

    def on_trial_stopped(self, trial_id: str, result: dict[str, Any] | None = None) -> None:
        self.searcher.on_trial_stopped(trial_id, result or None)


def _leaves(suggested: Mapping[str, Any], space: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Suggested values by path: nested dicts, and keys that are paths, mean the same."""
    for key, value in suggested.items():
        known = isinstance(space, Mapping) and key in space
        here = (*path, key) if known else (*path, *_parts(key))
        inner = space[key] if known else None
        if (
            isinstance(value, Mapping)
            and value
            and (inner is None or type(inner) is dict)
            and not path_is_domain(inner)
        ):
            yield from _leaves(value, inner, here)
        else:
            yield here, _python(value)


def path_is_domain(inner: Any) -> bool:
    """Tell whether a part of a space is drawn as a whole, so that a dict is a value there."""
    return inner is not None and not isinstance(inner, Mapping)


def _parts(key: Any) -> tuple[Any, ...]:
    return tuple(int(part) if part.isdigit() else part for part in key.split("/")) if isinstance(key, str) else (key,)


def _python(value: Any) -> Any:
    """A value as its Python type; containers are copies, so that no trial's change to one shows in another trial."""
    if isinstance(value, (list, dict, tuple, set)):
        return copy.deepcopy(value)
    # A value of NumPy's cannot be there without NumPy.
    numpy = sys.modules.get("numpy")
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def _containers(space: Any) -> Any:
    if type(space) is dict:
        return {key: _containers(value) for key, value in space.items()}
    return [_containers(value) for value in space] if type(space) is list else space


def _put(config: Any, path: Path, value: Any) -> Any:
    inner = config
    for key in path[:-1]:
        if isinstance(inner, dict):
            inner = inner.setdefault(key, {})
            continue
        break
    return assign(config, path, value)
