"""The suites for autoscaling policies: ours pass them, and they find what is wrong with others."""

import itertools
from typing import Any, ClassVar

import pytest

from ray_async.serve.testing import ApplicationPolicySuite, AutoscalingPolicySuite
from tests.serve.test_scaling import Steps, by_what_is_recorded

_count = itertools.count()


class TestDefaultPolicy(AutoscalingPolicySuite):
    policy = "ray.serve.autoscaling_policy:default_autoscaling_policy"


class TestSteps(AutoscalingPolicySuite):
    policy = Steps
    policy_kwargs: ClassVar[dict[str, Any]] = {"most": 3}


class TestByWhatIsRecorded(AutoscalingPolicySuite):
    policy = staticmethod(by_what_is_recorded)
    recorded: ClassVar[dict[str, float]] = {"queue": 3}

    def test_what_is_recorded_counts(self) -> None:
        assert self.ask(((2, 0, 0), (0, 0, 0))) == [3, 1]


def together(contexts: Any) -> Any:
    load = sum(context.total_num_requests for context in contexts.values())
    return {"A": load, "B": load / 2}, {one: {"load": load} for one in contexts}


class TestTogether(ApplicationPolicySuite):
    policy = staticmethod(together)
    deployments: ClassVar[dict[str, Any]] = {"A": {"max_replicas": 4}, "B": {"min_replicas": 0, "max_replicas": 4}}


@pytest.mark.parametrize(
    ("policy", "test"),
    [
        (lambda context: 3, "test_each_answer_is_a_number_and_a_state"),
        (lambda context: (-1, {}), "test_each_answer_is_a_number_and_a_state"),
        (lambda context: (1, None), "test_each_answer_is_a_number_and_a_state"),
        (lambda context: (1 / context.current_num_replicas, {}), "test_each_answer_is_a_number_and_a_state"),
        (lambda context: (1, {"n": 1 if not context.policy_state else 1 / 0}), "test_states_come_back"),
        ("tests.serve.test_policy_suites:counting", "test_the_same_looks_get_the_same_answers"),
    ],
)
def test_faults_are_found(policy: Any, test: str) -> None:
    suite = AutoscalingPolicySuite()
    suite.policy = policy
    with pytest.raises((AssertionError, TypeError, ArithmeticError)):
        getattr(suite, test)()


def counting(context: Any) -> Any:
    return next(_count), {}


@pytest.mark.parametrize("answer", [None, ({"C": 1}, {}), ({"A": -1}, {}), ({"A": 1}, {"A": None})])
def test_faults_of_application_policies_are_found(answer: Any) -> None:
    suite = TestTogether()
    suite.policy = lambda contexts: answer
    with pytest.raises((TypeError, ValueError)):
        suite.test_each_answer_is_numbers_and_states()
