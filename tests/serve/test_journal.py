"""The journal: what is written is read, once, and nothing stays that nobody needs."""

from pathlib import Path
from typing import Any

import pytest

from ray_async import serve
from ray_async.serve.application import build
from ray_async.serve.config import HTTPOptions
from ray_async.serve.controller.journal import Journal
from ray_async.serve.controller.reconcile import ReplicaState
from ray_async.serve.controller.records import ApplicationRecord, ControllerRecord, DeploymentRecord, ReplicaRecord


@serve.deployment(user_config={"a": [1]}, ray_actor_options={"num_cpus": 0.5})
class Some:
    def __init__(self, payload: bytes) -> None:
        self.payload = payload


def record(payload: bytes, state: ReplicaState = ReplicaState.RUNNING, ran: Any = None) -> ControllerRecord:
    built = build(Some.bind(payload), "app", "/x")
    spec = built.deployments[0]
    replica = ReplicaRecord("abcd", 7, state, spec)
    deployment = DeploymentRecord(spec, True, False, False, False, True, None, "why", 2, 3, (replica,))
    application = ApplicationRecord(built, ran or built, None, 12.5, False, "/x", "heir", (deployment,), ())
    return ControllerRecord(HTTPOptions(port=0), ("127.0.0.1", 1234), (application,))


def specs(folder: Path) -> list[Path]:
    return sorted(folder.glob("spec-*"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert Journal(tmp_path).read() is None
    written = record(b"x" * 100_000)
    Journal(tmp_path).write(written)
    read = Journal(tmp_path).read()
    assert read == written
    assert read is not None
    application = read.applications[0]
    assert application.built.deployments[0] is application.deployments[0].spec
    assert (tmp_path / "journal").stat().st_size < 5_000
    assert len(specs(tmp_path)) == 1


def test_specifications_are_written_once_and_go_with_their_last_use(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first = record(b"first")
    journal.write(first)
    (path,) = specs(tmp_path)
    written_at = path.stat().st_mtime_ns
    journal.write(record(b"first", ReplicaState.STOPPING))
    assert [one.stat().st_mtime_ns for one in specs(tmp_path)] == [written_at]
    journal.write(record(b"second", ran=first.applications[0].built))
    assert len(specs(tmp_path)) == 2
    other = Journal(tmp_path)
    read = other.read()
    assert read is not None
    other.write(ControllerRecord(read.http, read.address, (read.applications[0],)))
    assert len(specs(tmp_path)) == 2
    other.write(record(b"second"))
    assert len(specs(tmp_path)) == 1
    other.write(ControllerRecord())
    assert specs(tmp_path) == []


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    journal, one = Journal(tmp_path), record(b"x")
    journal.write(one)
    (tmp_path / "journal").unlink()
    journal.write(one)
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize("name", ["journal.new", "spec-0.new"])
def test_what_was_half_written_is_not_read(tmp_path: Path, name: str) -> None:
    Journal(tmp_path).write(record(b"x"))
    (tmp_path / name).write_bytes(b"half")
    assert Journal(tmp_path).read() == record(b"x")
