"""Options of Ray's that mean nothing here: refused, or noted by name, once."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async import ignored_option
from ray_async.cluster_utils import Cluster
from ray_async.job_config import JobConfig
from ray_async.util import placement_group
from ray_async.util.multiprocessing import Pool
from tests.api.fake_session import FakeSession


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """`notes()` gives what was noted since the last call."""
    monkeypatch.setattr(ignored_option, "_noted", set())
    caplog.set_level(logging.WARNING, logger="ray_async")

    def taken() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    logger = logging.getLogger("ray_async")
    logger.addHandler(caplog.handler)
    yield taken
    logger.removeHandler(caplog.handler)


def named(notes: list[str]) -> list[str]:
    return sorted({note.partition(" has no effect: ")[0] for note in notes})


def test_a_note_comes_once(notes: Callable[[], list[str]]) -> None:
    for _ in range(2):
        ignored_option.note_ignored("f(x=...)", "there is no x")
    assert set(notes()) == {"f(x=...) has no effect: there is no x"}
    ignored_option.note_ignored("f(x=...)", "there is no x")
    assert notes() == []


def test_free_notes_local_only(session: FakeSession, notes: Callable[[], list[str]]) -> None:
    ref = ray.put(1)
    ray.internal.free(ref)
    assert notes() == []
    ray.internal.free(ref, local_only=True)
    assert named(notes()) == ["free(local_only=True)"]
    assert session.calls == [("free", [ref]), ("free", [ref])]


def test_a_pool_notes_its_context(notes: Callable[[], list[str]]) -> None:
    with ray.init(num_cpus=1):
        for context in (None, multiprocessing.get_context("spawn")):
            with Pool(1, context=context):
                pass
    assert named(notes()) == ["Pool(context=...)"]


def test_init_notes_what_has_no_part_here(notes: Callable[[], list[str]]) -> None:
    from ray_async.api.lifecycle import _note_ignored

    _note_ignored(None, {"_temp_dir": "/tmp", "_node_name": "n", "_redis_password": None})
    assert notes() == []
    _note_ignored("http://proxy", {"_redis_password": "p", "_metrics_export_port": 1})
    assert named(notes()) == [
        "init(_metrics_export_port=...)",
        "init(_redis_password=...)",
        "init(proxy_server_url=...)",
    ]


def test_job_config_notes_and_checks(notes: Callable[[], list[str]]) -> None:
    JobConfig(code_search_path=["/a"], metadata={"a": "b"})
    assert notes() == []
    config = JobConfig(jvm_options=["-Xmx1g"], _disable_job_level_lineage_reconstruction=True)
    assert named(notes()) == [
        "JobConfig(_disable_job_level_lineage_reconstruction=True)",
        "JobConfig(jvm_options=...)",
    ]
    config.set_runtime_env({"colour": "red"})
    with pytest.raises(ValueError, match="colour"):
        config.set_runtime_env({"colour": "red"}, validate=True)


def test_other_transports_are_refused(session: FakeSession) -> None:
    class Plain:
        def method(self) -> int:
            return 1

    with pytest.raises(ValueError, match="enable_tensor_transport=True is not available"):
        ray.remote(enable_tensor_transport=True)(Plain)
    with pytest.raises(ValueError, match="tensor_transport='nccl' is not available"):
        ray.method(tensor_transport="nccl")(Plain.method)
    with pytest.raises(ValueError, match="_tensor_transport='nixl'"):
        ray.put(1, _tensor_transport="nixl")
    ray.put(1, _tensor_transport="object_store")
    actor = ray.remote(enable_tensor_transport=False)(Plain).remote()
    actor.method.options(tensor_transport="object_store").remote()
    with pytest.raises(ValueError, match="tensor_transport"):
        actor.method.options(tensor_transport="gloo")


def test_a_topology_is_refused() -> None:
    with pytest.raises(ValueError, match="topology_strategy is not available"):
        placement_group([{"CPU": 1}], topology_strategy={"rack": "PACK"})


def test_clusters_note_what_they_do_not_have(monkeypatch: pytest.MonkeyPatch, notes: Callable[[], list[str]]) -> None:
    cluster: Any = Cluster()
    cluster._entry = object()
    monkeypatch.setattr(cluster, "_ask", lambda op, **_: {"node_id": "ab"} if op == "add_node" else {})
    monkeypatch.setattr("ray_async.local_cluster.cluster.ClusterNode", lambda *_: _Node())
    cluster._entry = _Node()
    node = cluster.add_node(num_cpus=1, node_name="n")
    assert notes() == []
    cluster.add_node(wait=False, redis_port=1)
    assert named(notes()) == ["Cluster.add_node(redis_port=...)", "Cluster.add_node(wait=False)"]
    cluster.remove_node(node)
    assert notes() == []
    cluster.worker_nodes.add(node)
    cluster.remove_node(node, allow_graceful=True)
    assert named(notes()) == ["Cluster.remove_node(allow_graceful=...)"]


class _Node:
    address = "127.0.0.1:1"
    node_id = "ab"

    def mark_removed(self) -> None:
        """Nothing is there to be marked."""


@pytest.mark.parametrize(("owns_node", "noted"), [(True, []), (False, ["init(_memory=...)", "init(_temp_dir=...)"])])
def test_a_node_that_runs_has_its_own(
    monkeypatch: pytest.MonkeyPatch, notes: Callable[[], list[str]], owns_node: bool, noted: list[str]
) -> None:
    session = FakeSession()
    session.owns_node = owns_node
    monkeypatch.setattr("ray_async.api.lifecycle.has_session", lambda: False)
    monkeypatch.setattr("ray_async.api.lifecycle.connect", lambda options: session)
    ray.init("127.0.0.1:1", _memory=1 << 30, _temp_dir="/tmp")
    assert named(notes()) == noted
