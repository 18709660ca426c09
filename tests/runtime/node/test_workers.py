"""The node's record of its workers, reported by a zygote that a test plays."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from ray_async.config import Settings
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.workers import Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    ours, theirs = socket.socketpair()
    unused: Any = None
    with ours, theirs:
        yield Workers(
            unused,
            Settings({"worker_register_timeout_seconds": 5}),
            ours,
            0,
            on_end=unused,
            on_failed=unused,
            on_output=unused,
            on_warning=unused,
            start_zygote=unused,
            on_zygote_death=unused,
        )


def test_a_worker_that_does_not_report_is_given_up(workers: Workers) -> None:
    new, old, up = (workers.adopt(slot, "n", "1:", 1) for slot in range(3))
    old.started -= 6
    up.started -= 6
    up.up = True
    workers.tick()
    assert (new.kill_cause, up.kill_cause) == (None, None)
    assert old.kill_cause is DeathCause.NOT_REGISTERED
    assert "worker_register_timeout_seconds=5" in old.kill_detail


def test_a_cancel_reaches_a_worker_whose_fork_is_not_reported_yet(workers: Workers) -> None:
    worker = workers.adopt(0, "n", "1:", 1)
    workers.interrupt(worker)
    with subprocess.Popen(["sleep", "1000"]) as process:
        workers._fds.append((-1, -1))
        workers._received({"forked": 0, "pid": process.pid})
        assert process.wait(60) == -signal.SIGINT
