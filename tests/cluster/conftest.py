from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_async as ray
from tests.cluster.hosts import Hosts


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory: pytest.TempPathFactory, session_folder: None) -> Iterator[Hosts]:
    """A head's node with one CPU, another with two and the resource `far`; this process is attached to the first."""
    hosts = Hosts(tmp_path_factory.mktemp("credentials") / "cluster.json")
    try:
        hosts.add(num_cpus=2, resources={"far": 2})
        ray.init(address=hosts.first.session_dir)
        yield hosts
    finally:
        ray.shutdown()
        hosts.stop()


@pytest.fixture
def hosts(tmp_path: Path, session_folder: None) -> Iterator[Hosts]:
    """A head's node with one CPU, for tests that add others and kill them; this process is attached to the first."""
    made = Hosts(tmp_path / "cluster.json")
    try:
        ray.init(address=made.first.session_dir)
        yield made
    finally:
        ray.shutdown()
        made.stop()
