"""The suite for request routers: ours pass it, and it finds what is wrong with others."""

import random
from typing import Any, ClassVar

import pytest

from ray_async.serve.request_router import PowerOfTwoChoicesRequestRouter, RequestRouter
from ray_async.serve.testing import RequestRouterSuite
from tests.serve.test_request_routers import ByStatistics, First


class TestPowerOfTwoChoices(RequestRouterSuite):
    router_class = PowerOfTwoChoicesRequestRouter


class TestFirst(RequestRouterSuite):
    router_class = First
    router_kwargs: ClassVar[dict[str, Any]] = {"last": True}


class TestByStatistics(RequestRouterSuite):
    router_class = ByStatistics


class Flat(RequestRouter):
    async def choose_replicas(self, candidate_replicas: Any, pending_request: Any = None) -> Any:
        return list(candidate_replicas)


class Lazy(RequestRouter):
    async def choose_replicas(self, candidate_replicas: Any, pending_request: Any = None) -> Any:
        return []


class Remembering(RequestRouter):
    """Chooses replicas that are gone."""

    def initialize_state(self) -> None:
        self.seen: list[Any] = []

    async def choose_replicas(self, candidate_replicas: Any, pending_request: Any = None) -> Any:
        self.seen += candidate_replicas
        return [random.Random(1).sample(self.seen, len(self.seen))]


class Deaf(First):
    def on_replica_actor_died(self, replica_id: Any) -> None:
        raise KeyError(replica_id)


@pytest.mark.parametrize(
    ("router", "test"),
    [
        (Flat, "test_an_idle_replica_is_found"),
        (Lazy, "test_many_calls_are_routed_at_a_time"),
        (Remembering, "test_replicas_come_and_go"),
        (Deaf, "test_what_happens_is_told"),
    ],
)
def test_faults_are_found(router: type[RequestRouter], test: str) -> None:
    suite = RequestRouterSuite()
    suite.router_class = router
    with pytest.raises((AssertionError, TypeError, KeyError)):
        getattr(suite, test)()
