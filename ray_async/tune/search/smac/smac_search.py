"""SMAC search: suggestions of SMAC's random forests.

Lindauer et al., "SMAC3: A Versatile Bayesian Optimization Package for Hyperparameter Optimization", 2022.
"""

from __future__ import annotations

import copy
import math
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray_async.tune.search.config_space import configuration, configuration_space, is_native, plain_values
from ray_async.tune.search.library_searcher import Asked, LibrarySearcher, SpaceExhausted

try:
    import smac
except ModuleNotFoundError as error:
    raise ImportError("SMACSearch needs SMAC: pip install smac") from error

from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.runhistory.dataclasses import TrialInfo, TrialValue
from smac.runhistory.enumerations import StatusType

__all__ = ("SMACSearch",)


class SMACSearch(LibrarySearcher):
    """Searches with SMAC's facade for hyperparameters.

    Args:
        space: The search space: domains by name, or a ``ConfigSpace.ConfigurationSpace``. None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        seed: Seed.
        n_trials: How many trials there will be; SMAC begins with a quarter of them at most.
        facade: A class of SMAC's facades; None: ``HyperparameterOptimizationFacade``.

    Raises:
        ValueError: A space that cannot be searched, or points that do not fit.

    Example:
        >>> search = SMACSearch(metric="loss", mode="min", seed=1)  # doctest: +SKIP
    """

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        seed: int = 0,
        n_trials: int = 1_000,
        facade: Any = None,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        self._seed, self._n_trials = seed, n_trials
        self._facade = facade
        self._native: Any = None
        self._configs: Any = None
        self._smac: Any = None
        # All that was asked and told, in order: SMAC's own objects cannot be pickled.
        self._events: list[tuple[dict[str, Any] | None, int, float | None]] = []
        self._handles: list[Asked] = []
        # The finite losses told so far, from the best to the worst: SMAC's models take no infinite ones.
        self._bounds: tuple[float, float] | None = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if is_native(space):
            self._native = space
            return {}
        return None

    def begin(self) -> None:
        self._configs = self._native if self._native is not None else configuration_space(self._dimensions, self._seed)
        kind = self._facade or smac.HyperparameterOptimizationFacade
        # SMAC writes what it does into a directory, which nobody reads here: the search has its journal.
        folder = tempfile.mkdtemp(prefix="smac_")
        scenario = smac.Scenario(
            self._configs,
            output_directory=Path(folder),
            deterministic=True,
            n_trials=self._n_trials,
            seed=self._seed,
        )
        self._smac = kind(scenario, _no_target, overwrite=True, logging_level=False)
        weakref.finalize(self._smac, shutil.rmtree, folder, ignore_errors=True)

    def known_names(self) -> set[str]:
        return {*super().known_names(), *(self._native if self._native is not None else ())}

    def values_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if self._native is None:
            return super().values_in(config)
        return {name: config[name] for name in self._native if name in config}

    def ask(self, given: dict[str, Any]) -> Asked:
        if self._native is not None or set(given) != set(self._dimensions):
            try:
                info = self._smac.ask()
            except (ConfigurationSpaceExhaustedException, StopIteration):
                raise SpaceExhausted from None
            raw = plain_values(info.config)
        else:
            info, raw = None, {}
        if self._native is not None:
            raw.update(given)
            values = dict(raw)
        else:
            values = {name: self._dimensions[name].value(held) for name, held in raw.items()}
            raw.update({name: self._dimensions[name].number(value) for name, value in given.items()})
            values.update(copy.deepcopy(given))
        if given or info is None:
            # Deterministic trials all have the same seed.
            info = TrialInfo(configuration(self._configs, raw), seed=info.seed if info is not None else 0)
        self._events.append((copy.deepcopy(given), len(self._handles), None))
        asked = Asked({name: values[name] for name in raw}, (info, len(self._handles)))
        self._handles.append(asked)
        return asked

    def tell(self, asked: Asked, loss: float) -> None:
        info, number = asked.handle
        self._events.append((None, number, loss))
        if math.isfinite(loss):
            low, high = self._bounds or (loss, loss)
            self._bounds = min(low, loss), max(high, loss)
        self._smac.tell(info, TrialValue(cost=self._finite(loss)), save=False)

    def report_failure(self, asked: Asked) -> None:
        info, number = asked.handle
        self._events.append((None, number, None))
        cost = self._finite(math.inf)
        self._smac.tell(info, TrialValue(cost=cost, status=StatusType.CRASHED), save=False)

    def _finite(self, loss: float) -> float:
        """A loss as the models take it: as good as the best so far, or as bad as the worst, if it is infinite."""
        low, high = self._bounds or (0.0, 0.0)
        return loss if math.isfinite(loss) else high if loss > 0 else low

    def get_state(self) -> dict[str, Any]:
        live = {trial_id: asked.handle[1] for trial_id, asked in self._asked.items()}
        left_out = ("_smac", "_configs", "_handles", "_asked")
        return {**{name: value for name, value in self.__dict__.items() if name not in left_out}, "live": live}

    def set_state(self, state: dict[str, Any]) -> None:
        own = dict(state)
        live, events = own.pop("live"), own.pop("_events")
        super().set_state(own)
        self._events, self._handles, self._bounds = [], [], None
        if not self._begun:
            return
        self.begin()
        for given, number, loss in events:
            if given is not None:
                self.ask(given)
            elif loss is None:
                self.report_failure(self._handles[number])
            else:
                self.tell(self._handles[number], loss)
        self._asked = {trial_id: self._handles[number] for trial_id, number in live.items()}

    def __getstate__(self) -> dict[str, Any]:
        return self.get_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._smac = self._configs = None
        self._asked = {}
        self.set_state(state)


def _no_target(config: Any, seed: int = 0) -> float:
    raise RuntimeError("the search evaluates configs, not SMAC")
