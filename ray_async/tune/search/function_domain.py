"""Function domain: a hyperparameter whose value a function of the user's gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ray_async.tune.search.domain import BaseSampler, Domain

__all__ = ("Function", "FunctionSampler", "PartialConfig", "RecursiveDependencyError", "unresolved")


class RecursiveDependencyError(Exception):
    """A value was asked for that is not drawn yet.

    Args:
        message: Which one.
    """


def unresolved(value: Any) -> bool:
    """Tell whether a value still has to be drawn.

    Args:
        value: A domain, the dict of a grid, or a value.
    """
    return isinstance(value, Domain) or (isinstance(value, dict) and len(value) == 1 and "grid_search" in value)


class PartialConfig(dict[str, Any]):
    """A config of which some values are not drawn yet: to read one of those raises.

    Keys are attributes too, and ``config`` is the config itself unless it has such a key: functions of
    ``spec.config.lr`` and of ``config["lr"]`` both work.
    """

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if unresolved(value):
            raise RecursiveDependencyError(f"the value of {key!r} is not drawn yet")
        return PartialConfig(value) if isinstance(value, dict) else value

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name == "config":
            return self
        raise AttributeError(f"the config has no key {name!r}")


class FunctionSampler(BaseSampler):
    """Calls the function of the domain."""

    def sample(self, domain: Any, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
        configs = config if isinstance(config, list) else [config] * size
        values = [domain.call(one) for one in configs[:size]]
        return values[0] if size == 1 else values


class Function(Domain):
    """Values that a function gives.

    Args:
        func: A function of nothing, of the config, or of a ``spec`` whose ``config`` is the config.

    Raises:
        ValueError: A function that needs more than one argument.
    """

    default_sampler_cls = FunctionSampler

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.pass_config = _takes_argument(func)

    def call(self, config: Any) -> Any:
        """Call the function with what it takes."""
        if not self.pass_config:
            return self.func()
        return self.func(PartialConfig(config) if isinstance(config, dict) else config)

    def is_function(self) -> bool:
        return True

    def is_valid(self, value: Any) -> bool:
        return True

    @property
    def domain_str(self) -> str:
        return f"{self.func}()"


def _takes_argument(func: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(func).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature, such as random.random
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if len(needed) > 1:
        raise ValueError(
            f"sample_from takes a function of one argument, the config, or of none, but got one of {needed}"
        )
    return bool(needed)
