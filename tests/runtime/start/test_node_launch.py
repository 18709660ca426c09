"""The node's interpreter, started before there is anything to tell it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.runtime.start.node_launch import MARKER, NodeLaunch
from tests.resources import wait_until

PATIENCE_S = 30


@pytest.fixture
def launch() -> Iterator[NodeLaunch]:
    launch = NodeLaunch()
    yield launch
    launch.kill()


def test_it_leads_a_session_of_its_own_and_carries_the_marker(launch: NodeLaunch) -> None:
    assert os.getsid(launch.pid) == launch.pid
    variable = f"{MARKER}={launch.marker}".encode()
    # Between fork and exec the child still shows its parent's variables.
    wait_until(lambda: variable in Path(f"/proc/{launch.pid}/environ").read_bytes().split(b"\0"))


def test_it_ends_by_itself_when_its_driver_gives_up(launch: NodeLaunch) -> None:
    launch.close()
    wait_until(lambda: launch.poll() is not None)
    assert launch.returncode == 0


def test_a_killed_one_is_reaped_and_tells_how_it_ended(launch: NodeLaunch) -> None:
    os.kill(launch.pid, signal.SIGKILL)
    assert launch.wait(PATIENCE_S) == -signal.SIGKILL
    launch.configure({}, [0])  # too late, and no error: whoever waits for the node is told
    with pytest.raises(ChildProcessError):
        os.waitpid(launch.pid, os.WNOHANG)


def test_one_that_somebody_else_reaped_has_an_unknown_end(launch: NodeLaunch) -> None:
    os.kill(launch.pid, signal.SIGKILL)
    os.waitpid(launch.pid, 0)
    assert launch.poll() == 255


def test_none_is_left_when_the_options_turn_out_to_be_bad() -> None:
    with pytest.raises(ValueError, match="object_store_memory must be at least"):
        ray.init(object_store_memory=1)  # the checks after each test find a process that stays
