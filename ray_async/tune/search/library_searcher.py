"""Library searcher: what searchers around libraries share.

A subclass says how its library begins, how it is asked for values and how it is told of a loss; points of the user's,
nests, types, signs, failures and restores are dealt with here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ray_async.tune.metric import check_mode, flatten, lookup, number
from ray_async.tune.search.dimension import Dimension, dimensions
from ray_async.tune.search.searcher import Searcher, flat_domains, nested

__all__ = ("Asked", "LibrarySearcher", "SpaceExhausted")

_ABSENT = object()


class Asked(NamedTuple):
    """Values that a library has given, or that were given to it.

    Args:
        values: Values by path, as the config has them.
        handle: What the library knows them by.
    """

    values: dict[str, Any]
    handle: Any


class SpaceExhausted(Exception):
    """All values of a space were given, and the library repeats none."""


class LibrarySearcher(Searcher):
    """Base of searchers around libraries.

    A trial that a scheduler stops counts with its last result. One that fails, or ends without a finite metric, is told
    as a failure where the library knows such, and else not at all.

    Args:
        space: The search space: domains by name, nested as the config is, or what the library itself has for it. None
            takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first; keys may be paths (``"m/lr"``). The library
            suggests what a point leaves out, and is told of all of it.

    Raises:
        ValueError: A space that the library cannot search, or a point that the space has not.
    """

    # Whether the library knows normal distributions.
    knows_normal = False

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        check_mode(mode)
        super().__init__(metric, mode)
        self._space = space
        self._points = [dict(point) for point in points_to_evaluate or ()]
        self._next_point = 0
        self._dimensions: dict[str, Dimension] = {}
        self._nest: Mapping[str, Any] | None = None
        self._asked: dict[str, Asked] = {}
        self._begun = False

    # What subclasses override.

    def begin(self) -> None:
        """Make the library's optimiser for the dimensions."""
        raise NotImplementedError

    def ask(self, given: dict[str, Any]) -> Asked | None:
        """Ask the library for values; None if it gives none before something is told.

        Args:
            given: Values that are fixed, by path.

        Raises:
            SpaceExhausted: All values of the space were given.
        """
        raise NotImplementedError

    def tell(self, asked: Asked, loss: float) -> None:
        """Tell the library of a loss, which is to be small.

        Args:
            asked: The values.
            loss: The loss, finite.
        """
        raise NotImplementedError

    def report_failure(self, asked: Asked) -> None:
        """Tell the library that values have no loss."""

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        """Domains of a space that is the library's own; None if it is a space of Tune's.

        Args:
            space: The space.
        """
        return None

    def known_names(self) -> set[str]:
        """Names that a point may have."""
        return {*self._dimensions, *flatten(self._nest or {})}

    # What the search calls.

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        if (self._metric and metric) or (self._mode and mode):
            return False
        name = type(self).__name__
        if self._space is not None and flat_domains(config, name):
            return False
        self._metric, self._mode = metric or self._metric, mode or self._mode
        if self._space is None:
            self._space = config
        self._begin()
        return True

    def _begin(self) -> None:
        name = type(self).__name__
        if self._metric is None or self._mode is None:
            raise ValueError(f"{name} needs metric and mode: give them to it, to TuneConfig or to tune.run")
        native = self.native_domains(self._space)
        if native is None:
            native = flat_domains(self._space, name)
            self._nest = self._space
        self._dimensions = dimensions(native, name, self.knows_normal)
        self.begin()
        self._begun = True
        self._points = [self._flat_point(point) for point in self._points]

    def _flat_point(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point's values by path, checked."""
        values = self.values_in(point)
        unknown = {
            name
            for name in flatten(point)
            if name not in self.known_names() and not any(name.startswith(f"{known}/") for known in values)
        }
        if unknown:
            raise ValueError(f"points_to_evaluate has {sorted(unknown)}, which the search space has not")
        known = self._dimensions
        return {name: known[name].typed(value) if name in known else value for name, value in values.items()}

    def values_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Values of the dimensions that a config has, by path.

        Args:
            config: The config, nested or flat.
        """
        found = {name: lookup(config, name, default=_ABSENT) for name in self._dimensions}
        return {name: value for name, value in found.items() if value is not _ABSENT}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self._begun:
            if self._space is None:
                raise RuntimeError(f"{type(self).__name__} knows no search space: give it one, with metric and mode")
            self._begin()
        given = self._points[self._next_point] if self._next_point < len(self._points) else {}
        try:
            asked = self.ask(given)
        except SpaceExhausted:
            return self.FINISHED
        if asked is None:
            return None
        self._next_point += 1
        self._asked[trial_id] = asked
        return self.config_of(asked)

    def config_of(self, asked: Asked) -> dict[str, Any]:
        """The config for what was asked.

        Args:
            asked: The values.
        """
        return nested(asked.values, self._nest if self._nest is not None else asked.values)

    def replay(self, trial_id: str, config: dict[str, Any]) -> None:
        asked = self.ask(self.values_in(config))
        if asked is not None:
            self._next_point += 1
            self._asked[trial_id] = asked

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        asked = self._asked.pop(trial_id, None)
        if asked is None:
            return
        value = number(lookup(result, self._metric or "")) if result and not error else None
        if value is None or not math.isfinite(value):
            self.report_failure(asked)
        else:
            self.tell(asked, value if self._mode == "min" else -value)

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        if not self._begun:
            raise RuntimeError(f"the search space is not known yet: give {type(self).__name__} a space and a metric")
        asked = self.ask(self._flat_point(parameters))
        if asked is None:
            raise RuntimeError(f"{type(self).__name__} takes no point before others are told")
        if error or not math.isfinite(value):
            self.report_failure(asked)
        else:
            self.tell(asked, value if self._mode == "min" else -value)
