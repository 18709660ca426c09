"""The suites that every autoscaling policy passes: one of a deployment's, one of an application's."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from ray_async import cloudpickle
from ray_async.serve.autoscaling_config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy, DeploymentID
from ray_async.serve.controller.application_scaler import decisions_of
from ray_async.serve.controller.scaler import called

__all__ = ("ApplicationPolicySuite", "AutoscalingPolicySuite")

# Replicas that run, requests that run, and requests that wait.
_SCENES = ((1, 0, 0), (1, 2, 0), (3, 6, 40), (0, 0, 1), (0, 0, 0), (20, 1000, 0))


def _context(
    one: DeploymentID,
    config: AutoscalingConfig,
    scene: tuple[int, int, int],
    state: dict[str, Any],
    recorded: Mapping[str, float],
    now: float,
) -> AutoscalingContext:
    replicas, running, waiting = scene
    ids = [f"{number:08x}" for number in range(replicas)]
    share = running / replicas if replicas else 0.0
    seen = {"running_requests": dict.fromkeys(ids, share)} | {
        name: dict.fromkeys(ids, recorded[name]) for name in recorded
    }
    raw = {name: {id_: [(now, value)] for id_, value in values.items()} for name, values in seen.items()}
    return AutoscalingContext(
        one,
        one.name,
        one.app_name,
        replicas,
        replicas,
        ids,
        float(running + waiting),
        float(waiting),
        float(running),
        seen,
        raw,
        config.min_replicas,
        config.max_replicas,
        state,
        None,
        None,
        now,
        config,
    )


class AutoscalingPolicySuite:
    """Tests of an autoscaling policy; name it in a class that inherits this one.

    Attributes:
        policy: The policy: a function in `staticmethod`, a class, an object in `staticmethod`, or an import path.
        policy_kwargs: Keyword arguments for it.
        config: The configuration of the deployment that it is asked about.
        recorded: What `record_autoscaling_stats` of that deployment's class gives.

    Example:
        >>> class TestByDay(AutoscalingPolicySuite):
        ...     policy = staticmethod(by_day)
    """

    policy: Any
    policy_kwargs: ClassVar[Mapping[str, Any]] = {}
    config: ClassVar[Mapping[str, Any]] = {"min_replicas": 0, "max_replicas": 100}
    recorded: ClassVar[Mapping[str, float]] = {}

    def ask(self, scenes: tuple[tuple[int, int, int], ...]) -> list[float]:
        """The numbers that a new policy wants, one look after the other."""
        config = AutoscalingConfig(**self.config, policy=AutoscalingPolicy(self.policy, dict(self.policy_kwargs)))
        assert config.policy is not None
        policy = cloudpickle.loads(cloudpickle.dumps(config.policy)).load(())
        state: dict[str, Any] = {}
        numbers = []
        for now, scene in enumerate(scenes):
            context = _context(DeploymentID("Model", "app"), config, scene, state, self.recorded, float(now))
            answer = asyncio.run(called(policy, context))
            assert isinstance(answer, tuple) and len(answer) == 2, f"it must return a number and a dict, not {answer!r}"
            number, state = answer
            assert isinstance(state, dict), f"its state must be a dict, not {state!r}"
            assert math.isfinite(number) and number >= 0, f"it wants {number!r} replicas"
            numbers.append(float(number))
        return numbers

    def test_each_answer_is_a_number_and_a_state(self) -> None:
        """Any look gets a number of replicas and a dict."""
        for scene in _SCENES:
            self.ask((scene,))

    def test_states_come_back(self) -> None:
        """A policy takes the state that it gave at the look before."""
        self.ask(_SCENES)

    def test_the_same_looks_get_the_same_answers(self) -> None:
        """What a policy remembers is in its state, or in its own object."""
        assert self.ask(_SCENES) == self.ask(_SCENES)


class ApplicationPolicySuite:
    """Tests of a policy for a whole application; name it in a class that inherits this one.

    Attributes:
        policy: The policy: a function in `staticmethod`, a class, an object in `staticmethod`, or an import path.
        policy_kwargs: Keyword arguments for it.
        deployments: The configuration of each deployment that it is asked about.
        recorded: What `record_autoscaling_stats` of their classes gives.
    """

    policy: Any
    policy_kwargs: ClassVar[Mapping[str, Any]] = {}
    deployments: ClassVar[Mapping[str, Mapping[str, Any]]]
    recorded: ClassVar[Mapping[str, float]] = {}

    def ask(self, scenes: tuple[tuple[int, int, int], ...]) -> list[dict[DeploymentID, float]]:
        """The numbers that a new policy wants, one look after the other."""
        configs = {DeploymentID(name, "app"): AutoscalingConfig(**one) for name, one in self.deployments.items()}
        carried = cloudpickle.dumps(AutoscalingPolicy(self.policy, dict(self.policy_kwargs)))
        policy = cloudpickle.loads(carried).load(())
        states: dict[DeploymentID, dict[str, Any]] = {one: {} for one in configs}
        answers = []
        for now, scene in enumerate(scenes):
            contexts = {
                one: _context(one, config, scene, states[one], self.recorded, float(now))
                for one, config in configs.items()
            }
            numbers, new = decisions_of(asyncio.run(called(policy, contexts)), contexts)
            states |= new
            answers.append(numbers)
        return answers

    def test_each_answer_is_numbers_and_states(self) -> None:
        """Any look gets numbers of replicas and dicts, for deployments of the application alone."""
        for scene in _SCENES:
            self.ask((scene,))

    def test_states_come_back(self) -> None:
        """A policy takes the states that it gave at the look before."""
        self.ask(_SCENES)

    def test_the_same_looks_get_the_same_answers(self) -> None:
        """What a policy remembers is in its states, or in its own object."""
        assert self.ask(_SCENES) == self.ask(_SCENES)
