"""The scaler of a deployment: looks at its requests, asks its policy, and keeps how many replicas there shall be."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.autoscaling_config import (
    AutoscalingConfig,
    AutoscalingContext,
    AutoscalingPolicy,
    DeploymentID,
    PolicyFunction,
)
from ray_async.serve.controller.autoscaling import (
    ScalingState,
    aggregate,
    at_capacity,
    decide,
    desired_replicas,
    number_at_capacity,
    redeployed,
)
from ray_async.serve.controller.reconcile import ReplicaView
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.telemetry.counts import Counts
from ray_async.serve.waiting import Waiting

__all__ = ("Observation", "Scaler", "called")

logger = logging.getLogger("ray_async.serve")

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
Stats = dict[str, dict[str, float]]  # by replica and metric


@dataclass(frozen=True)
class Observation:
    """What was seen of a deployment at a look.

    Args:
        config: Its configuration then.
        now: When, in seconds of a clock that does not go back.
        running: The replicas that took requests.
        ongoing: Requests that ran or waited.
        queued: Those of them that waited.
    """

    config: AutoscalingConfig
    now: float
    running: tuple[ReplicaView, ...]
    ongoing: float
    queued: float


class Scaler:
    """Keeps a deployment's number of replicas.

    Args:
        app: The application's name.
        spec: The deployment.
        stats: Gives what replicas record for the policy.
        told: Called when the number has changed.
        capacity: The share in percent of the replicas that there shall be; None: all.
        number: How many there shall be at first, at full capacity if they are not scaled; None: as its options say.
    """

    def __init__(
        self,
        app: str,
        spec: DeploymentSpec,
        stats: Callable[[], Coroutine[Any, Any, Stats]],
        told: Callable[[], None],
        capacity: float | None = None,
        number: int | None = None,
    ) -> None:
        self.id = DeploymentID(spec.name, app)
        self.external = False  # whether somebody else says how many there shall be
        self.follows_application = False  # whether a policy of the whole application decides
        self.observed: Observation | None = None  # what that policy has not been asked about yet
        self.last: Observation | None = None
        self.desired = 0.0  # how many the policy asked for last
        self.policy_ms = 0.0  # how long it took, in milliseconds
        self._stats = stats
        self._told = told
        self._spec = spec
        self._capacity = capacity
        self._config = self._at_capacity(spec.options.autoscaling_config)
        self._state = ScalingState(self._first_number() if number is None else number)
        self._looked_at = -float("inf")
        self._policy: PolicyFunction | None = None
        self._policy_state: dict[str, Any] = {}
        self._asking: asyncio.Task[None] | None = None
        self._seen: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {}  # by metric and replica

    @property
    def number(self) -> int:
        """What a new scaler must begin with, to go on like this one."""
        return self._state.target

    @property
    def target(self) -> int:
        """How many replicas there shall be."""
        if self._capacity == 0:
            return 0
        number = self._state.target
        if self._config is None:
            number = number_at_capacity(number, self._capacity)
        return self._spec.options.whole_gangs(number)

    @property
    def may_be_at_zero(self) -> bool:
        """Whether there may be no replicas, and requests that wait for one."""
        return self._capacity == 0 or (self._config is not None and self._config.min_replicas == 0)

    def set_capacity(self, capacity: float | None) -> None:
        """Keep a share of the replicas from now on.

        Args:
            capacity: The share in percent; None: all.
        """
        self._capacity = capacity
        self._adopt(self._spec.options.autoscaling_config)

    def _adopt(self, config: AutoscalingConfig | None) -> None:
        old, self._config = self._config, self._at_capacity(config)
        if self._config is not None:
            self._state = redeployed(old, self._config, self._state)

    def _at_capacity(self, config: AutoscalingConfig | None) -> AutoscalingConfig | None:
        return at_capacity(config, self._capacity) if config is not None and self._capacity else config

    def _first_number(self) -> int:
        return self._spec.options.num_replicas if self._config is None else self._config.initial

    def change(self, spec: DeploymentSpec, afresh: bool) -> None:
        """Follow other options from now on.

        Args:
            spec: The deployment.
            afresh: Whether it begins anew, with its first number of replicas.
        """
        before, config = self._spec, spec.options.autoscaling_config
        keeps = self.external and config is None and before.options.num_replicas == spec.options.num_replicas
        if config != before.options.autoscaling_config or spec.path != before.path:
            self._policy, self._policy_state = None, {}
        self._spec = spec
        self._adopt(config)
        if afresh or (config is None and not keeps):
            self._state = ScalingState(self._first_number())

    def scale(self, number: int) -> None:
        """Keep a number of replicas that somebody else has named."""
        self._move(replace(self._state, target=number))

    def look(self, now: float, running: Sequence[ReplicaView], waiting: Callable[[], Waiting], spawn: Spawn) -> None:
        """Look whether another number of replicas is called for, if it is time to.

        Args:
            now: Seconds of a clock that does not go back.
            running: The replicas that take requests.
            waiting: Gives what the routers have.
            spawn: Runs something beside.
        """
        config = self._config
        if config is None or self._capacity == 0:
            return
        due = now - self._looked_at >= config.metrics_interval_s
        if not due and self.target > 0:
            return
        routers = waiting()
        busy = sum(view.ongoing for view in running)
        ongoing = max(busy + routers.waiting, routers.arriving)
        cold = self.target == 0 and ongoing > 0
        if not due and not cold:
            return
        self._looked_at = now
        self._note(config, now, {"running_requests": {view.id: float(view.ongoing) for view in running}})
        seen = self.last = Observation(config, now, tuple(running), ongoing, routers.waiting)
        if cold or (config.policy is None and not self.follows_application):
            began = time.perf_counter()
            self.desired = desired_replicas(config, self._state.target, ongoing)
            self.policy_ms = (time.perf_counter() - began) * 1000
            self._move(decide(config, self._state, now, ongoing))
        elif self.follows_application:
            self.observed = seen
        elif self._asking is None or self._asking.done():
            self._asking = spawn(self._ask(seen, config.policy or AutoscalingPolicy()))

    def _note(self, config: AutoscalingConfig, now: float, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Add what was seen to the window of each metric and replica; replicas that are gone are left out."""
        for name, values in metrics.items():
            before = self._seen.get(name, {})
            self._seen[name] = {
                replica: (
                    *(item for item in before.get(replica, ()) if now - item[0] < config.look_back_period_s),
                    (now, value),
                )
                for replica, value in values.items()
            }

    def count(self, counts: Counts) -> None:
        """Show what it wants, and why."""
        labels = (self.id.app_name, self.id.name)
        counts.set("serve_autoscaling_target_replicas", labels, self.target)
        if self.last is not None:
            counts.set("serve_autoscaling_desired_replicas", labels, self.desired)
            counts.set("serve_autoscaling_total_requests", labels, self.last.ongoing)
            counts.set("serve_autoscaling_policy_execution_time_ms", labels, self.policy_ms)

    async def context(self, seen: Observation) -> AutoscalingContext:
        """What a policy is told, with what replicas record."""
        config, now = seen.config, seen.now
        self._note(config, now, _by_metric(await self._stats()))
        state = self._state
        window = (*(item for item in state.samples if now - item[0] < config.look_back_period_s), (now, seen.ongoing))
        return AutoscalingContext(
            self.id,
            self.id.name,
            self.id.app_name,
            len(seen.running),
            state.target,
            [view.id for view in seen.running],
            aggregate(config, window),
            seen.queued,
            sum(view.ongoing for view in seen.running),
            {
                metric: {replica: aggregate(config, values) for replica, values in of.items()}
                for metric, of in self._seen.items()
            },
            {metric: {replica: list(values) for replica, values in of.items()} for metric, of in self._seen.items()},
            config.min_replicas,
            config.max_replicas,
            dict(self._policy_state),
            state.raised_at,
            state.lowered_at,
            now,
            config,
        )

    def take(self, seen: Observation, wanted: float, state: dict[str, Any]) -> None:
        """Follow a policy's answer, if the configuration that it was asked about is still in force.

        Args:
            seen: What it was asked about.
            wanted: How many replicas it wants.
            state: What it wants to find in the next context.
        """
        if self._config is seen.config and self._capacity != 0:
            self._policy_state = state
            self.desired = wanted
            self._move(decide(seen.config, self._state, seen.now, seen.ongoing, wanted))

    async def _ask(self, seen: Observation, policy: AutoscalingPolicy) -> None:
        try:
            if self._policy is None:
                self._policy = await asyncio.to_thread(policy.load, self._spec.path)
            context = await self.context(seen)
            began = time.perf_counter()
            answer = await called(self._policy, context)
            self.policy_ms = (time.perf_counter() - began) * 1000
            wanted, state = float(answer[0]), dict(answer[1])
        except Exception:  # the user's: whatever is wrong with it, there are replicas
            logger.exception("The autoscaling policy %s of deployment %r failed", policy.name, self._spec.name)
            return
        self.take(seen, wanted, state)

    def _move(self, state: ScalingState) -> None:
        before, self._state = self.target, state
        if self.target != before:
            logger.info(
                "Deployment %r of %r goes from %d to %d replicas", self.id.name, self.id.app_name, before, self.target
            )
            self._told()


def _by_metric(stats: Stats) -> dict[str, dict[str, float]]:
    names = {name for metrics in stats.values() for name in metrics}
    return {
        name: {replica: metrics[name] for replica, metrics in stats.items() if name in metrics}
        for name in sorted(names)
    }


async def called(policy: PolicyFunction, context: Any) -> Any:
    """The policy's answer; a sync one runs in a thread."""
    if inspect.iscoroutinefunction(policy) or inspect.iscoroutinefunction(type(policy).__call__):
        answer: Any = policy(context)
        return await answer
    answer = await asyncio.to_thread(policy, context)
    return await answer if inspect.isawaitable(answer) else answer
