"""The suite of engines: the runtime passes it."""

from collections.abc import Iterator

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.engine.protocol import Session
from ray_async.engine.testing import SessionSuite


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with ray.init(num_cpus=2):
        yield get_session()


class TestRuntime(SessionSuite):
    """The runtime of one machine."""
