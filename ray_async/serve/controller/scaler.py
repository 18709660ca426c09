"""The scaler of a deployment: looks at its requests, asks its policy, and keeps how many replicas there shall be."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.autoscaling_config import (
    AutoscalingConfig,
    AutoscalingContext,
    AutoscalingPolicy,
    DeploymentID,
    PolicyFunction,
)
from ray_async.serve.controller.autoscaling import ScalingState, aggregate, decide, redeployed
from ray_async.serve.controller.reconcile import ReplicaView
from ray_async.serve.waiting import Waiting

__all__ = ("Scaler",)

logger = logging.getLogger("ray_async.serve")

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
Stats = dict[str, dict[str, float]]  # by replica and metric


class Scaler:
    """Keeps a deployment's number of replicas.

    Args:
        app: The application's name.
        spec: The deployment.
        target: How many replicas there shall be at first; None: as its options say.
    """

    def __init__(self, app: str, spec: DeploymentSpec, target: int | None = None) -> None:
        self._app = app
        self._spec = spec
        self._state = ScalingState(spec.options.initial_replicas if target is None else target)
        self._looked_at = -float("inf")
        self._policy: PolicyFunction | None = None
        self._policy_state: dict[str, Any] = {}
        self._asking: asyncio.Task[None] | None = None
        self._seen: dict[str, dict[str, tuple[tuple[float, float], ...]]] = {}  # by metric and replica

    @property
    def target(self) -> int:
        """How many replicas there shall be."""
        return self._spec.options.whole_gangs(self._state.target)

    def change(self, spec: DeploymentSpec, afresh: bool) -> None:
        """Follow other options from now on.

        Args:
            spec: The deployment.
            afresh: Whether it begins anew, with its first number of replicas.
        """
        old, config = self._spec.options.autoscaling_config, spec.options.autoscaling_config
        if config is None or afresh:
            self._state = ScalingState(spec.options.initial_replicas)
        else:
            self._state = redeployed(old, config, self._state)
        if config != old or spec.path != self._spec.path:
            self._policy, self._policy_state = None, {}
        self._spec = spec

    def look(
        self,
        now: float,
        running: Sequence[ReplicaView],
        waiting: Callable[[], Waiting],
        stats: Callable[[], Coroutine[Any, Any, Stats]],
        spawn: Spawn,
        told: Callable[[], None],
    ) -> None:
        """Look whether another number of replicas is called for, if it is time to.

        Args:
            now: Seconds of a clock that does not go back.
            running: The replicas that take requests.
            waiting: Gives what the routers have.
            stats: Gives what replicas record for the policy.
            spawn: Runs something beside.
            told: Called when the number has changed.
        """
        config = self._spec.options.autoscaling_config
        if config is None:
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
        if cold or config.policy is None:
            self._move(decide(config, self._state, now, ongoing), told)
        elif self._asking is None or self._asking.done():
            make = partial(self._context, config, now, running, ongoing, routers.waiting)
            self._asking = spawn(self._ask(config, config.policy, make, stats, now, ongoing, told))

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

    def _context(
        self, config: AutoscalingConfig, now: float, running: Sequence[ReplicaView], ongoing: float, queued: float
    ) -> AutoscalingContext:
        state, name = self._state, self._spec.name
        window = (*(item for item in state.samples if now - item[0] < config.look_back_period_s), (now, ongoing))
        return AutoscalingContext(
            DeploymentID(name, self._app),
            name,
            self._app,
            len(running),
            state.target,
            [view.id for view in running],
            aggregate(config, window),
            queued,
            sum(view.ongoing for view in running),
            {
                metric: {replica: aggregate(config, seen) for replica, seen in of.items()}
                for metric, of in self._seen.items()
            },
            {metric: {replica: list(seen) for replica, seen in of.items()} for metric, of in self._seen.items()},
            config.min_replicas,
            config.max_replicas,
            dict(self._policy_state),
            state.raised_at,
            state.lowered_at,
            now,
            config,
        )

    async def _ask(
        self,
        config: AutoscalingConfig,
        policy: AutoscalingPolicy,
        make: Callable[[], AutoscalingContext],
        stats: Callable[[], Coroutine[Any, Any, Stats]],
        now: float,
        ongoing: float,
        told: Callable[[], None],
    ) -> None:
        try:
            if self._policy is None:
                self._policy = await asyncio.to_thread(policy.load, self._spec.path)
            self._note(config, now, _by_metric(await stats()))
            answer = await _called(self._policy, make())
            wanted, state = float(answer[0]), dict(answer[1])
        except Exception:  # the user's: whatever is wrong with it, there are replicas
            logger.exception("The autoscaling policy %s of deployment %r failed", policy.name, self._spec.name)
            return
        if self._spec.options.autoscaling_config is config:
            self._policy_state = state
            self._move(decide(config, self._state, now, ongoing, wanted), told)

    def _move(self, state: ScalingState, told: Callable[[], None]) -> None:
        before, self._state = self.target, state
        if self.target != before:
            logger.info(
                "Deployment %r of %r goes from %d to %d replicas", self._spec.name, self._app, before, self.target
            )
            told()


def _by_metric(stats: Stats) -> dict[str, dict[str, float]]:
    names = {name for metrics in stats.values() for name in metrics}
    return {
        name: {replica: metrics[name] for replica, metrics in stats.items() if name in metrics}
        for name in sorted(names)
    }


async def _called(policy: PolicyFunction, context: AutoscalingContext) -> Any:
    """The policy's answer; a sync one runs in a thread."""
    if inspect.iscoroutinefunction(policy) or inspect.iscoroutinefunction(type(policy).__call__):
        answer: Any = policy(context)
        return await answer
    answer = await asyncio.to_thread(policy, context)
    return await answer if inspect.isawaitable(answer) else answer
