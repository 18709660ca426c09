"""ZOOpt search: suggestions of the zeroth-order optimiser SRACOS.

Hu, Qian and Yu, "Sequential Classification-Based Optimization for Direct Policy Search", 2017.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.search.global_randomness import GlobalRandomness
from ray_async.tune.search.library_searcher import Asked, LibrarySearcher, SpaceExhausted
from ray_async.tune.search.sample import choice, randint, uniform

try:
    import zoopt
except ModuleNotFoundError as error:
    raise ImportError("ZOOptSearch needs ZOOpt: pip install zoopt") from error

from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune
from zoopt.utils.zoo_global import gl

__all__ = ("ZOOptSearch",)


class ZOOptSearch(LibrarySearcher):
    """Searches with ZOOpt's SRACOS.

    ZOOpt draws from NumPy's global random numbers, which are put back after each call.

    Args:
        algo: ``"asracos"`` or ``"sracos"``, which are the same here.
        budget: How many trials there will be.
        dim_dict: The search space as ZOOpt has it: ``(ValueType.CONTINUOUS, [0, 1], 1e-2)`` by name. Domains by name
            will do as well. None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        parallel_num: How many trials run at once.
        seed: Seed.
        kwargs: What ``zoopt.Parameter`` takes.

    Raises:
        ValueError: A space that ZOOpt cannot search, or points that do not fit.

    Example:
        >>> search = ZOOptSearch(budget=100, metric="loss", mode="min")  # doctest: +SKIP
    """

    def __init__(
        self,
        algo: str = "asracos",
        budget: int | None = None,
        dim_dict: Mapping[str, Any] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        parallel_num: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dim_dict, metric, mode, points_to_evaluate)
        if algo.lower() not in ("asracos", "sracos"):
            raise ValueError(f"algo is 'asracos' or 'sracos', but got {algo!r}")
        if budget is None:
            raise ValueError("ZOOptSearch needs a budget: how many trials there will be")
        self._budget, self._parallel = budget, parallel_num
        self._random = GlobalRandomness(seed)
        # Of its floats: ZOOpt keeps those of the space that was made last for the whole process.
        self._precisions: list[Any] = []
        self._options = kwargs
        self._optimizer: Any = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if not isinstance(space, Mapping) or not all(isinstance(one, tuple) for one in space.values()) or not space:
            return None
        return {name: _domain(name, one) for name, one in space.items()}

    def begin(self) -> None:
        sides: list[Any] = []
        for one in self._dimensions.values():
            if one.choices is not None:
                sides.append((zoopt.ValueType.DISCRETE, [0, len(one.choices) - 1], False))
            else:
                sides.append((zoopt.ValueType.CONTINUOUS, [one.low, one.high], (one.high - one.low) * 1e-6))
        parameter = zoopt.Parameter(budget=self._budget, **self._options)
        with self._random.lent():
            space = zoopt.Dimension2(sides)
            self._optimizer = SRacosTune(dimension=space, parameter=parameter, parallel_num=self._parallel)
        self._precisions = list(gl.float_precisions)

    def ask(self, given: dict[str, Any]) -> Asked | None:
        solution = self._suggested()
        if solution is None and not self._asked and self._optimizer.semaphore == 0:
            # Its first ones have all ended before it was asked on, which it waits for in vain.
            self._optimizer.semaphore = 1
            solution = self._suggested()
        if solution is None:
            return None
        if isinstance(solution, str):
            raise SpaceExhausted
        raw = dict(zip(self._dimensions, solution.get_x(), strict=True))
        values = {}
        for name, one in self._dimensions.items():
            values[name] = one.at(raw[name]) if one.choices is None else one.value(raw[name])
        for name, value in given.items():
            one = self._dimensions[name]
            raw[name] = one.position(value) if one.choices is None else one.number(value)
        if given:
            solution.set_x([raw[name] for name in self._dimensions])
        return Asked({**values, **copy.deepcopy(given)}, solution)

    def _suggested(self) -> Any:
        gl.float_precisions = list(self._precisions)
        with self._random.lent():
            return self._optimizer.suggest()

    def tell(self, asked: Asked, loss: float) -> None:
        with self._random.lent():
            self._optimizer.complete(asked.handle, loss)

    def report_failure(self, asked: Asked) -> None:
        # It counts how many are under way, so it must hear of each: the worst that there is.
        self.tell(asked, 1e300)


def _domain(name: str, given: tuple[Any, ...]) -> Any:
    kind, values = given[0], given[1]
    if kind == zoopt.ValueType.CONTINUOUS:
        return uniform(*values)
    if kind == zoopt.ValueType.DISCRETE:
        return randint(values[0], values[1] + 1)
    if kind == zoopt.ValueType.GRID:
        return choice(values)
    raise ValueError(f"ZOOptSearch knows no dimension such as {name!r}: {given!r}")
