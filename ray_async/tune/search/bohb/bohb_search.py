"""BOHB search: suggestions of HpBandSter's model for BOHB.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", 2018. Its scheduler is
`HyperBandForBOHB`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.metric import lookup, number
from ray_async.tune.search.config_space import configuration, configuration_space, is_native, plain_values
from ray_async.tune.search.global_randomness import GlobalRandomness
from ray_async.tune.search.library_searcher import Asked, LibrarySearcher

try:
    from hpbandster.optimizers.config_generators.bohb import BOHB
except ModuleNotFoundError as error:
    raise ImportError("TuneBOHB needs HpBandSter: pip install hpbandster ConfigSpace") from error

__all__ = ("TuneBOHB",)


class _Job:
    """A finished evaluation, as HpBandSter has it."""

    def __init__(self, values: dict[str, Any], budget: float, loss: float | None) -> None:
        self.kwargs = {"config": values, "budget": budget}
        self.result = None if loss is None else {"loss": loss}
        self.exception = None


class TuneBOHB(LibrarySearcher):
    """Searches with BOHB's model, which learns from trials that were stopped at any budget.

    HpBandSter draws from NumPy's global random numbers: these are put back after each call.

    Args:
        space: The search space: domains by name, or a ``ConfigSpace.ConfigurationSpace``. None takes the search's.
        bohb_config: What the model gets: ``min_points_in_model``, ``top_n_percent``, ``random_fraction`` and more.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        seed: Seed.
        max_concurrent: How many trials may be live at once; 0: any number.

    Raises:
        ValueError: A space that cannot be searched, or points that do not fit.

    Example:
        >>> search = TuneBOHB(metric="loss", mode="min", seed=1)  # doctest: +SKIP
    """

    knows_normal = True

    def __init__(
        self,
        space: Any = None,
        bohb_config: Mapping[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        seed: int | None = None,
        max_concurrent: int = 0,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        self._options = dict(bohb_config or {})
        self._seed = seed
        self._most = max_concurrent
        self._native: Any = None
        self._random = GlobalRandomness(seed)
        self._bohber: Any = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if is_native(space):
            self._native = space
            return {}
        return None

    def begin(self) -> None:
        space = self._native if self._native is not None else configuration_space(self._dimensions, self._seed)
        if self._native is not None and self._seed is not None:
            space.seed(self._seed)
        with self._random.lent():
            self._bohber = BOHB(space, **self._options)

    def known_names(self) -> set[str]:
        return {*super().known_names(), *(self._native if self._native is not None else ())}

    def values_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if self._native is None:
            return super().values_in(config)
        return {name: config[name] for name in self._native if name in config}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._most and len(self._asked) >= self._most:
            return None
        return super().suggest(trial_id)

    def ask(self, given: dict[str, Any]) -> Asked:
        with self._random.lent():
            found, _ = self._bohber.get_config(None)
        raw = plain_values(found)
        if self._native is not None:
            raw.update(given)
            return Asked(dict(raw), raw)
        values = {name: self._dimensions[name].value(held) for name, held in raw.items()}
        raw.update({name: self._dimensions[name].number(value) for name, value in given.items()})
        return Asked({**values, **copy.deepcopy(given)}, raw)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Note how far a trial is: its budget is the iteration at which it ends."""
        value = number(lookup(result, self._metric or ""))
        asked = self._asked.get(trial_id)
        if asked is not None and value is not None and "hyperband_info" in result:
            # A milestone of the scheduler's: the model learns of it before the trial has ended.
            budget = float(result["hyperband_info"]["budget"])
            self._learn(asked, budget, value if self._mode == "min" else -value)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        asked = self._asked.get(trial_id)
        if asked is not None:
            budget = float((result or {}).get("training_iteration", 1))
            self._asked[trial_id] = Asked(asked.values, (asked.handle, budget))
        super().on_trial_complete(trial_id, result, error)

    def tell(self, asked: Asked, loss: float) -> None:
        raw, budget = asked.handle if isinstance(asked.handle, tuple) else (asked.handle, 1.0)
        self._learn(Asked(asked.values, raw), budget, loss)

    def report_failure(self, asked: Asked) -> None:
        raw, budget = asked.handle if isinstance(asked.handle, tuple) else (asked.handle, 1.0)
        self._learn(Asked(asked.values, raw), budget, None)

    def _learn(self, asked: Asked, budget: float, loss: float | None) -> None:
        # Checked by ConfigSpace, in the numbers that it has itself.
        values = dict(configuration(self._bohber.configspace, asked.handle))
        with self._random.lent():
            self._bohber.new_result(_Job(values, budget, loss))
