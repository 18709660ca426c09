"""Configuration of autoscaling: bounds, targets, delays, and the policy that decides."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from ray_async import cloudpickle
from ray_async.serve.config_value import ConfigValue

__all__ = ("AutoscalingConfig", "AutoscalingContext", "AutoscalingPolicy", "Decision", "DeploymentID", "PolicyFunction")

Decision = tuple[float, dict[str, Any]]
PolicyFunction = Callable[..., "Decision | Awaitable[Decision]"]
_AGGREGATIONS = ("mean", "max", "min")


class DeploymentID(NamedTuple):
    """A deployment's name and that of its application."""

    name: str
    app_name: str


@dataclass(frozen=True)
class PickledFunction:
    """A function on its way to the controller: its name for people, and itself."""

    name: str
    code: bytes


@dataclass(frozen=True)
class AutoscalingPolicy(ConfigValue):
    """The function that says how many replicas a deployment shall have.

    It gets an `AutoscalingContext`, and returns how many it wants and a dict that it finds in the next context as
    `policy_state`. It may be async; a sync one runs in a thread. Factors, bounds and delays of the configuration apply
    to what it wants. What it raises is logged, and the number stays.

    Args:
        policy_function: The function, or a class whose objects are called, or the import path of either as
            ``module:name``.
        policy_kwargs: Keyword arguments for it; a class gets them when its one object is made.
    """

    policy_function: Any = "ray_async.serve.autoscaling_policy:default_autoscaling_policy"
    policy_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        function = self.policy_function
        if isinstance(function, str):
            module, _, name = function.replace("ray.serve.", "ray_async.serve.", 1).partition(":")
            if not module or not name:
                raise ValueError(f"policy_function must be 'module:name', but is {function!r}")
            object.__setattr__(self, "policy_function", f"{module}:{name}")
        elif callable(function):
            name = f"{function.__module__}:{function.__qualname__}" if hasattr(function, "__qualname__") else ""
            pickled = PickledFunction(name or type(function).__name__, cloudpickle.dumps(function))
            object.__setattr__(self, "policy_function", pickled)
        elif not isinstance(function, PickledFunction):
            raise TypeError(f"policy_function must be a function or its import path, but is {function!r}")

    @classmethod
    def of(cls, value: Any) -> AutoscalingPolicy:
        """The policy that an option names: one, its fields, or its function.

        Raises:
            TypeError: No function.
            ValueError: An unknown key, or an import path that is none.
        """
        if not isinstance(value, cls | dict):
            return cls(value)
        return cls._made_of(value, "autoscaling_config.policy")

    @property
    def name(self) -> str:
        """The function's name."""
        function = self.policy_function
        return function.name if isinstance(function, PickledFunction) else str(function)

    def load(self, path: Iterable[str]) -> PolicyFunction:
        """The function, ready to be called with a context.

        Args:
            path: Where modules are looked for beside.
        """
        sys.path += [entry for entry in path if entry not in sys.path]
        if isinstance(self.policy_function, PickledFunction):
            function: Any = cloudpickle.loads(self.policy_function.code)
        else:
            module, _, name = self.policy_function.partition(":")
            function = importlib.import_module(module)
            for part in name.split("."):
                function = getattr(function, part)
        kwargs = dict(self.policy_kwargs)
        if isinstance(function, type):
            made: PolicyFunction = function(**kwargs)
            return made
        return (lambda context: function(context, **kwargs)) if kwargs else function


@dataclass(frozen=True)
class AutoscalingConfig(ConfigValue):
    """How many replicas a deployment gets, by its ongoing requests or by a policy of your own.

    Args:
        min_replicas: At least so many; with 0, the first request after a lull waits for a replica.
        initial_replicas: So many at first; None: `min_replicas`.
        max_replicas: At most so many.
        target_ongoing_requests: Requests that a replica shall have on average, waiting ones among them.
        metrics_interval_s: Seconds between two looks.
        look_back_period_s: Seconds over which looks are aggregated; more than `metrics_interval_s`.
        smoothing_factor: The older name of both factors.
        upscale_smoothing_factor: The older name of `upscaling_factor`.
        downscale_smoothing_factor: The older name of `downscaling_factor`.
        upscaling_factor: Multiplies each step up; None: 1.
        downscaling_factor: Multiplies each step down; None: 1.
        downscale_delay_s: Seconds for which fewer must be wanted before some are stopped.
        downscale_to_zero_delay_s: Seconds without a request before the last one is stopped; None: `downscale_delay_s`.
        upscale_delay_s: Seconds for which more replicas must be wanted before they are started; from none to the first
            one there is no delay.
        aggregation_function: "mean", "max" or "min" of what was seen in the look-back period.
        policy: Decides in place of the number of ongoing requests.

    Raises:
        ValueError: A value out of range.
    """

    min_replicas: int = 1
    initial_replicas: int | None = None
    max_replicas: int = 1
    target_ongoing_requests: float = 2
    metrics_interval_s: float = 10.0
    look_back_period_s: float = 30.0
    smoothing_factor: float = 1.0
    upscale_smoothing_factor: float | None = None
    downscale_smoothing_factor: float | None = None
    upscaling_factor: float | None = None
    downscaling_factor: float | None = None
    downscale_delay_s: float = 600.0
    downscale_to_zero_delay_s: float | None = None
    upscale_delay_s: float = 30.0
    aggregation_function: str = "mean"
    policy: AutoscalingPolicy | None = None

    def __post_init__(self) -> None:
        initial = self.initial
        if self.min_replicas < 0 or self.max_replicas < 1:
            raise ValueError(
                f"min_replicas must be 0 or more and max_replicas 1 or more, but they are {self.min_replicas} and "
                f"{self.max_replicas}"
            )
        if not self.min_replicas <= initial <= self.max_replicas:
            raise ValueError(
                f"min_replicas <= initial_replicas <= max_replicas does not hold: {self.min_replicas}, {initial}, "
                f"{self.max_replicas}"
            )
        for one in fields(self)[3:-2]:
            value = getattr(self, one.name)
            if value is not None and (value < 0 or (value == 0 and not one.name.endswith("delay_s"))):
                raise ValueError(f"{one.name} must be positive, but is {value}")
        if self.look_back_period_s <= self.metrics_interval_s:
            raise ValueError(
                f"look_back_period_s must be more than metrics_interval_s, but they are {self.look_back_period_s} and "
                f"{self.metrics_interval_s}"
            )
        if self.aggregation_function not in _AGGREGATIONS:
            raise ValueError(
                f"aggregation_function must be one of {', '.join(_AGGREGATIONS)}, but is {self.aggregation_function!r}"
            )

    @property
    def initial(self) -> int:
        """How many replicas there are at first."""
        return self.min_replicas if self.initial_replicas is None else self.initial_replicas

    @property
    def factor_up(self) -> float:
        """What multiplies each step up."""
        return self.upscaling_factor or self.upscale_smoothing_factor or self.smoothing_factor

    @property
    def factor_down(self) -> float:
        """What multiplies each step down."""
        return self.downscaling_factor or self.downscale_smoothing_factor or self.smoothing_factor

    @property
    def delay_to_zero_s(self) -> float:
        """Seconds without a request before the last replica is stopped."""
        delay = self.downscale_to_zero_delay_s
        return self.downscale_delay_s if delay is None else delay

    @classmethod
    def of(cls, value: AutoscalingConfig | dict[str, Any]) -> AutoscalingConfig:
        """The configuration that an option names.

        Raises:
            ValueError: An unknown key, or a value out of range.
        """
        if isinstance(value, dict) and value.get("policy") is not None:
            value = {**value, "policy": AutoscalingPolicy.of(value["policy"])}
        return cls._made_of(value, "autoscaling_config")


@dataclass(frozen=True)
class AutoscalingContext:
    """What a policy is told of its deployment.

    Args:
        deployment_id: Its name and its application's.
        deployment_name: Its name.
        app_name: Its application's name.
        current_num_replicas: How many replicas take requests.
        target_num_replicas: How many there shall be.
        running_replicas: The ids of those that take requests.
        total_num_requests: Requests that run or wait, aggregated over the look-back period.
        total_queued_requests: Requests that wait now.
        total_running_requests: Requests that run now.
        aggregated_metrics: By name and replica, aggregated: ``running_requests``, and what the method
            ``record_autoscaling_stats`` of the deployment's class gives, a dict of numbers.
        raw_metrics: The same as lists of times and values.
        capacity_adjusted_min_replicas: The lower bound.
        capacity_adjusted_max_replicas: The upper bound.
        policy_state: What the policy returned the last time; empty at first, and after the controller was killed.
        last_scale_up_time: When the number was raised last, in the clock of `current_time`.
        last_scale_down_time: When it was lowered last.
        current_time: Seconds of a clock that does not go back.
        config: The configuration.
    """

    deployment_id: DeploymentID
    deployment_name: str
    app_name: str
    current_num_replicas: int
    target_num_replicas: int
    running_replicas: list[str]
    total_num_requests: float
    total_queued_requests: float
    total_running_requests: float
    aggregated_metrics: dict[str, dict[str, float]]
    raw_metrics: dict[str, dict[str, list[tuple[float, float]]]]
    capacity_adjusted_min_replicas: int
    capacity_adjusted_max_replicas: int
    policy_state: dict[str, Any]
    last_scale_up_time: float | None
    last_scale_down_time: float | None
    current_time: float
    config: AutoscalingConfig
