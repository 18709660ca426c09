"""The scaler of an application: asks a policy that decides for all of its deployments together."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ray_async.serve.autoscaling_config import AutoscalingPolicy, DeploymentID, PolicyFunction
from ray_async.serve.controller.scaler import Observation, Scaler, Spawn, called

__all__ = ("ApplicationScaler", "decisions_of")

logger = logging.getLogger("ray_async.serve")
Decisions = tuple[dict[DeploymentID, float], dict[DeploymentID, dict[str, Any]]]


def decisions_of(answer: Any, deployments: Collection[DeploymentID]) -> Decisions:
    """What a policy has answered: how many replicas, and what state, for which deployment. A pure function.

    Args:
        answer: The answer.
        deployments: Those that it was asked about; their names stand for them too.

    Raises:
        TypeError: An answer of another form.
        ValueError: A deployment that it was not asked about, or a number that is none.
    """
    if not (isinstance(answer, tuple) and len(answer) == 2 and all(isinstance(part, Mapping) for part in answer)):
        raise TypeError(
            "it must return two dicts by deployment, of numbers of replicas and of states, but returned "
            f"{answer!r:.200}"
        )
    known: dict[Any, DeploymentID] = {one.name: one for one in deployments} | {one: one for one in deployments}
    strange = [key for part in answer for key in part if key not in known]
    if strange:
        raise ValueError(f"it names {strange[0]!r}, which is none of {', '.join(one.name for one in deployments)}")
    numbers = {known[key]: float(value) for key, value in answer[0].items()}
    bad = [f"{one.name}: {value}" for one, value in numbers.items() if not (math.isfinite(value) and value >= 0)]
    if bad:
        raise ValueError(f"it wants numbers of replicas that are none: {', '.join(bad)}")
    return numbers, {known[key]: dict(state) for key, state in answer[1].items()}


class ApplicationScaler:
    """Asks an application's policy whenever one of its deployments was looked at.

    Args:
        app: The application's name.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._loaded: tuple[AutoscalingPolicy, PolicyFunction] | None = None
        self._asking: asyncio.Task[None] | None = None

    def look(
        self, policy: AutoscalingPolicy | None, path: tuple[str, ...], scalers: Sequence[Scaler], spawn: Spawn
    ) -> None:
        """Ask the policy, if there is something new.

        Args:
            policy: The policy; None: each deployment decides for itself.
            path: Where its module is looked for beside.
            scalers: The deployments' scalers.
            spawn: Runs something beside.
        """
        for scaler in scalers:
            scaler.follows_application = policy is not None
        if policy is None or (self._asking is not None and not self._asking.done()):
            return
        if any(scaler.observed is not None for scaler in scalers):
            seen = [(scaler, scaler.last) for scaler in scalers if scaler.last is not None]
            for scaler in scalers:
                scaler.observed = None
            self._asking = spawn(self._ask(policy, path, seen))

    async def _ask(
        self, policy: AutoscalingPolicy, path: tuple[str, ...], seen: Sequence[tuple[Scaler, Observation]]
    ) -> None:
        try:
            if self._loaded is None or self._loaded[0] != policy:
                self._loaded = policy, await asyncio.to_thread(policy.load, path)
            contexts = {scaler.id: await scaler.context(what) for scaler, what in seen}
            numbers, states = decisions_of(await called(self._loaded[1], contexts), contexts)
        except Exception:  # the user's: whatever is wrong with it, there are replicas
            logger.exception("The autoscaling policy %s of application %r failed", policy.name, self._app)
            return
        for scaler, what in seen:
            if scaler.id in numbers:
                scaler.take(what, numbers[scaler.id], states.get(scaler.id, contexts[scaler.id].policy_state))
