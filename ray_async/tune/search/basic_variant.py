"""Basic variants: all combinations of grids, times samples of the domains.

What a sample draws is a function of the search's seed and the sample's number alone. So a search that is restored needs
to know nothing but how far it was.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_async.tune.search.domain import Categorical, Domain
from ray_async.tune.search.random_source import RandomSource, seed_of
from ray_async.tune.search.search_algorithm import SearchAlgorithm, Suggestion
from ray_async.tune.search.variant_generator import (
    Prepared,
    assign,
    flatten_path,
    generate_variants,
    grid_size,
    has_unresolved_values,
    logger,
    lookup,
    prepared,
)

__all__ = ("BasicVariantGenerator",)


class BasicVariantGenerator(SearchAlgorithm):
    """Grid search and random search.

    Args:
        points_to_evaluate: Configs, or parts of configs, that come first; keys may be paths (``"m/lr"``).
        max_concurrent: How many trials may run at once; 0: as many as there is room for.
        constant_grid_search: Whether all combinations of the grids share what a sample draws.
        random_state: A seed, or a generator or random state of NumPy; None: by NumPy's global state.

    Example:
        >>> search = BasicVariantGenerator(random_state=7)
        >>> search.setup({"a": {"grid_search": [1, 2]}, "b": 3}, num_samples=1, prefix="t")
        >>> [search.next_suggestion().config for _ in range(2)]
        [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """

    learns = False

    def __init__(
        self,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        max_concurrent: int = 0,
        constant_grid_search: bool = False,
        random_state: Any = None,
    ) -> None:
        self.points = [dict(point) for point in points_to_evaluate or ()]
        self.max_concurrent = max_concurrent
        self._constant_grid_search = constant_grid_search
        # Drawn here, so that it is in the pickle from which a search is restored.
        self._seed = seed_of(random_state)
        self._space: dict[str, Any] = {}
        self._num_samples = 0
        self._prefix = ""
        self._sample = 0
        # How many variants of the sample, and of all, were made.
        self._variant = 0
        self._count = 0
        self._variants: Iterator[tuple[dict[tuple[Any, ...], Any], dict[str, Any]]] | None = None
        self._next: Suggestion | None = None
        self._streams: _Streams | None = None
        self._plain: bool | None = None
        # What is to be drawn of the space, found once.
        self._found: Prepared | None = None

    def setup(self, space: Mapping[str, Any], num_samples: int, prefix: str) -> None:
        for point in self.points:
            for path, value in _with_point(space, point)[1].items():
                part = lookup(space, path)
                if not has_unresolved_values(part) and part != value:
                    logger.warning(
                        f"Pre-set value `{value}` is not equal to the value of parameter `{flatten_path(path)}`: {part}"
                    )
        self._space = dict(space)
        self._num_samples = max(num_samples, len(self.points)) if num_samples >= 0 else -1
        self._prefix = prefix

    def add_configurations(self, experiments: Any) -> None:
        """Take the search space of an experiment, to look at the trials without running them.

        Args:
            experiments: The experiment, or a list of one.

        Raises:
            ValueError: Several of them.
        """
        found = list(experiments) if isinstance(experiments, (list, tuple)) else [experiments]
        if len(found) != 1:
            raise ValueError(f"BasicVariantGenerator takes one experiment at a time, but got {len(found)}")
        self.setup(found[0].space, found[0].num_samples, "trial")

    def next_trial(self) -> Suggestion | None:
        """The next config, as `next_suggestion` gives it; None when all have come."""
        return self.next_suggestion()

    @property
    def total_samples(self) -> int:
        return 0 if self._num_samples < 0 else self._count_all()

    def _count_all(self) -> int:
        plain = grid_size(self._space)
        fixed = [grid_size(_with_point(self._space, point)[0]) for point in self.points]
        return sum(fixed) + plain * (self._num_samples - len(fixed))

    def extend(self, num_samples: int) -> None:
        """Let there be more samples.

        Args:
            num_samples: How many there are to be in all.
        """
        self._num_samples = max(self._num_samples, num_samples)

    def next_suggestion(self) -> Suggestion | None:
        found = self._peek()
        self._next = None
        return found

    def is_finished(self) -> bool:
        return self._peek() is None

    def position(self) -> tuple[int, int, int]:
        # What was looked at and not taken comes again.
        ahead = self._next is not None
        return self._sample, self._variant - ahead, self._count - ahead

    def go_to(self, position: tuple[int, int, int]) -> None:
        sample, variant, count = position
        self._sample, self._variants, self._next = sample, None, None
        if sample and variant >= 0:
            self._variants = self._sampled(sample - 1)
            for _ in range(variant):
                next(self._variants)
        self._variant, self._count = variant, count

    def replay(self, suggestion: Suggestion) -> None:
        self._next = None
        number = int(suggestion.trial_id.rpartition("_")[2])
        if self._is_plain() and number >= self._count:
            # What a sample draws depends on its number alone: nothing of those before is to be drawn again.
            self._sample = self._count = number + 1
            self._variant, self._variants = 1, None
            return
        while self._count <= number:
            if self._advance() is None:
                break

    def _is_plain(self) -> bool:
        """Whether each sample is one config: there are neither grids nor points, nor values that hold domains."""
        if self._plain is None:
            grids, domains = self._found = prepared(self._space)
            nested = any(
                isinstance(value, (dict, list, tuple, Domain))
                for _, domain in domains
                for value in (domain.categories if isinstance(domain, Categorical) else ())
            )
            functions = any(domain.is_function() for _, domain in domains)
            self._plain = not (grids or self.points or nested or functions)
        return self._plain

    def _peek(self) -> Suggestion | None:
        if self._next is None:
            self._next = self._advance()
        return self._next

    def _advance(self) -> Suggestion | None:
        while True:
            if self._variants is None:
                if 0 <= self._num_samples <= self._sample:
                    return None
                self._variants = self._sampled(self._sample)
                self._sample += 1
                self._variant = 0
            for drawn, config in self._variants:
                found = Suggestion(f"{self._prefix}_{self._count:05d}", config, drawn)
                self._count += 1
                self._variant += 1
                return found
            self._variants = None

    def _sampled(self, sample: int) -> Iterator[tuple[dict[tuple[Any, ...], Any], dict[str, Any]]]:
        if self._streams is None:
            self._streams = _Streams(self._seed)
        streams = self._streams

        def state(variant: int) -> RandomSource:
            return streams.at((sample << 24) + variant)

        if sample >= len(self.points):
            if self._found is None:
                self._found = prepared(self._space)
            yield from generate_variants(self._space, state, self._constant_grid_search, self._found)
            return
        space, given = _with_point(self._space, self.points[sample])
        for drawn, config in generate_variants(space, state, self._constant_grid_search):
            yield {**given, **drawn}, config

    def __getstate__(self) -> dict[str, Any]:
        # As before the first suggestion: where a search was is known to its journal.
        return {
            **self.__dict__,
            "_variants": None,
            "_next": None,
            "_sample": 0,
            "_count": 0,
            "_streams": None,
            "_found": None,
            "_plain": None,
        }


class _Streams:
    """Random numbers as a function of seed and counter: one generator that is set to each stream's beginning.

    Args:
        seed: The seed.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._source = RandomSource(self._random)

    def at(self, counter: int) -> RandomSource:
        """The stream of a counter; the one before is over.

        Args:
            counter: Which stream.
        """
        self._random.seed((abs(self._seed) << 64) + counter)
        return self._source


def _with_point(
    space: Mapping[str, Any], point: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[tuple[Any, ...], Any]]:
    """A space in which the values of a point are fixed, and these values by path."""
    given = dict(_paths(space, point, ()))
    fixed = _plain_copy(space)
    for path, value in given.items():
        fixed = assign(fixed, path, value)
    return fixed, given


def _paths(space: Any, point: Mapping[str, Any], path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    for key, value in point.items():
        here = (*path, key) if isinstance(space, Mapping) and key in space else (*path, *str(key).split("/"))
        try:
            part = lookup(space, here[len(path) :])
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"points_to_evaluate has {flatten_path(here)!r}, which the search space has not") from None
        if isinstance(value, Mapping) and isinstance(part, Mapping) and "grid_search" not in part:
            yield from _paths(part, value, here)
        else:
            yield here, value


def _plain_copy(space: Any) -> Any:
    if isinstance(space, Mapping):
        return {key: _plain_copy(value) for key, value in space.items()}
    return [_plain_copy(value) for value in space] if type(space) is list else space
