"""HyperOpt search: suggestions of HyperOpt's tree-structured Parzen estimator.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray_async.tune.metric import flatten
from ray_async.tune.search.library_searcher import Asked, LibrarySearcher

try:
    import hyperopt
except ModuleNotFoundError as error:
    raise ImportError("HyperOptSearch needs HyperOpt: pip install hyperopt") from error

from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, STATUS_FAIL, STATUS_OK
from hyperopt.pyll.base import Apply

__all__ = ("HyperOptSearch",)


class HyperOptSearch(LibrarySearcher):
    """Searches with HyperOpt's TPE.

    Args:
        space: The search space: domains by name, or a dict of HyperOpt's expressions (``hp.uniform("x", 0, 1)``), which
            may nest and depend on ``hp.choice``. None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        n_initial_points: How many random configs come before the estimator's.
        random_state_seed: Seed.
        gamma: Which part of the trials counts as good.

    Raises:
        ValueError: A space that HyperOpt cannot search, or points that do not fit.

    Example:
        >>> search = HyperOptSearch(metric="loss", mode="min", random_state_seed=1)  # doctest: +SKIP
    """

    knows_normal = True

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        n_initial_points: int = 20,
        random_state_seed: int | None = None,
        gamma: float = 0.25,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        self._suggest = partial(tpe.suggest, n_startup_jobs=n_initial_points, gamma=gamma, verbose=False)
        self._random = random.Random(random_state_seed)
        self._trials: Any = None
        self._domain: Any = None
        self._expressions: Any = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if isinstance(space, Mapping) and any(isinstance(one, Apply) for one in flatten(space).values()):
            self._expressions = dict(space)
            return {}
        return None

    def begin(self) -> None:
        if self._expressions is None:
            expressions = {name: _expression(dimension) for name, dimension in self._dimensions.items()}
        else:
            expressions = self._expressions
        self._domain = hyperopt.Domain(_itself, expressions)
        self._trials = hyperopt.Trials()

    def known_names(self) -> set[str]:
        return {*super().known_names(), *(self._domain.params if self._expressions is not None else ())}

    def values_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if self._expressions is None:
            return super().values_in(config)
        flat = flatten(config)
        return {name: flat[name] for name in self._domain.params if name in flat}

    def ask(self, given: dict[str, Any]) -> Asked:
        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        (document,) = self._suggest(ids, self._domain, self._trials, self._random.getrandbits(31))
        found = document["misc"]["vals"]
        for name, value in given.items():
            dimension = self._dimensions.get(name)
            if dimension is None:
                found[name] = [value]
            else:
                found[name] = [_raw(dimension, value)]
        self._trials.insert_trial_docs([document])
        self._trials.refresh()
        raw = {name: held[0] for name, held in found.items() if len(held)}
        if self._expressions is None:
            values = {name: _value(self._dimensions[name], number) for name, number in raw.items()}
            values.update(copy.deepcopy(given))
        else:
            values = hyperopt.space_eval(self._expressions, raw)
        return Asked(values, ids[0])

    def config_of(self, asked: Asked) -> dict[str, Any]:
        return super().config_of(asked) if self._expressions is None else dict(asked.values)

    def tell(self, asked: Asked, loss: float) -> None:
        self._end(asked, JOB_STATE_DONE, {"loss": loss, "status": STATUS_OK})

    def report_failure(self, asked: Asked) -> None:
        self._end(asked, JOB_STATE_ERROR, {"status": STATUS_FAIL})

    def _end(self, asked: Asked, state: int, result: dict[str, Any]) -> None:
        document = next(one for one in reversed(self._trials._dynamic_trials) if one["tid"] == asked.handle)
        document["state"], document["result"] = state, result
        self._trials.refresh()


def _itself(config: Any) -> Any:
    return config


def _expression(dimension: Any) -> Any:
    if dimension.choices is not None:
        return hp.randint(dimension.name, len(dimension.choices))
    if dimension.normal is not None:
        return hp.normal(dimension.name, *dimension.normal)
    return hp.uniform(dimension.name, dimension.low, dimension.high)


def _value(dimension: Any, raw: Any) -> Any:
    direct = dimension.choices is not None or dimension.normal is not None
    return dimension.value(raw) if direct else dimension.at(raw)


def _raw(dimension: Any, value: Any) -> Any:
    direct = dimension.choices is not None or dimension.normal is not None
    return dimension.number(value) if direct else dimension.position(value)
