"""Configuration of request routers."""

from __future__ import annotations

import base64
import importlib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_async import cloudpickle
from ray_async.serve.autoscaling_config import PickledFunction
from ray_async.serve.config_value import ConfigValue
from ray_async.serve.request_router.base import RequestRouter

__all__ = ("RequestRouterConfig",)

_DEFAULT = "ray_async.serve.request_router:PowerOfTwoChoicesRequestRouter"
_SECONDS = (
    "request_routing_stats_period_s",
    "request_routing_stats_timeout_s",
    "initial_backoff_s",
    "max_backoff_s",
)


@dataclass(frozen=True)
class RequestRouterConfig(ConfigValue):
    """Who chooses the replica for each call of a deployment.

    Args:
        request_router_class: A class that inherits `serve.request_router.RequestRouter`, or its import path as
            ``module:name``. The default is Serve's own choice.
        request_router_kwargs: Keyword arguments for its `initialize_state`.
        request_routing_stats_period_s: Seconds between two calls of the method `record_routing_stats` of the
            deployment's class, whose answers routers see as `routing_stats`.
        request_routing_stats_timeout_s: Seconds that such a call may take.
        initial_backoff_s: Seconds after which a router is asked again for a call that has found no replica; sooner
            where a call has ended meanwhile.
        backoff_multiplier: Multiplies that with each time more.
        max_backoff_s: The most seconds.

    Raises:
        TypeError: No class of routers.
        ValueError: A value out of range, or a path that is none.
    """

    request_router_class: Any = _DEFAULT
    request_router_kwargs: Mapping[str, Any] = field(default_factory=dict)
    request_routing_stats_period_s: float = 10.0
    request_routing_stats_timeout_s: float = 30.0
    initial_backoff_s: float = 0.025
    backoff_multiplier: float = 2.0
    max_backoff_s: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "request_router_class", _checked(self.request_router_class))
        object.__setattr__(self, "request_router_kwargs", dict(self.request_router_kwargs or {}))
        for name in _SECONDS:
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be positive, but is {value!r}")
        if not self.backoff_multiplier >= 1:
            raise ValueError(f"backoff_multiplier must be 1 or more, but is {self.backoff_multiplier!r}")

    @classmethod
    def of(cls, value: RequestRouterConfig | Mapping[str, Any] | None) -> RequestRouterConfig | None:
        """The configuration that an option names.

        Raises:
            TypeError: Neither a configuration nor a dict.
            ValueError: An unknown key, or a value out of range.
        """
        return None if value is None else cls._made_of(value, "request_router_config")

    @property
    def is_custom(self) -> bool:
        """Whether another router than Serve's own is asked."""
        return self.name != _DEFAULT

    @property
    def name(self) -> str:
        """The class's name."""
        named = self.request_router_class
        return named.name if isinstance(named, PickledFunction) else str(named)

    def load(self, path: Iterable[str]) -> type[RequestRouter]:
        """The class.

        Args:
            path: Where modules are looked for beside.

        Raises:
            TypeError: It inherits no `RequestRouter`.
            ImportError: It cannot be imported.
        """
        sys.path += [entry for entry in path if entry not in sys.path]
        if isinstance(self.request_router_class, PickledFunction):
            found: Any = cloudpickle.loads(self.request_router_class.code)
        else:
            module, _, name = self.request_router_class.partition(":")
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        if not (isinstance(found, type) and issubclass(found, RequestRouter)):
            raise TypeError(f"the request router {self.name} must inherit ray_async.serve.request_router.RequestRouter")
        return found

    def packed(self, path: Iterable[str]) -> str:
        """The configuration as text, for the table."""
        return base64.b64encode(cloudpickle.dumps((self, tuple(path)))).decode()

    @staticmethod
    def unpacked(text: str) -> tuple[RequestRouterConfig, tuple[str, ...]]:
        """The configuration and the path that a text stands for."""
        config, path = cloudpickle.loads(base64.b64decode(text))
        return config, path


def _checked(router: Any) -> Any:
    if isinstance(router, PickledFunction):
        return router
    if isinstance(router, str):
        module, _, name = router.partition(":") if ":" in router else router.rpartition(".")
        if not module or not name:
            raise ValueError(f"request_router_class must be 'module:name', but is {router!r}")
        for theirs in ("ray.serve._private.request_router", "ray.serve.request_router"):
            if module == theirs or module.startswith(f"{theirs}."):
                module = "ray_async.serve.request_router"
        return f"{module}:{name}"
    if not isinstance(router, type):
        raise TypeError(f"request_router_class must be a class or its import path, but is {router!r}")
    name = f"{router.__module__}:{router.__qualname__}"
    if name == "ray_async.serve.request_router.power_of_two:PowerOfTwoChoicesRequestRouter":
        return _DEFAULT
    return PickledFunction(name, cloudpickle.dumps(router))
