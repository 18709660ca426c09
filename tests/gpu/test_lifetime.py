"""Memory goes with the last reference and view, whoever had them and however they ended."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.gpu import fake
from ray_async.gpu.agent import agent_of
from tests.gpu.roles import Holder, all_free

pytestmark = pytest.mark.usefixtures("session")


def kill(actor: Any) -> int:
    """End an actor's process; returns its number once everybody knows."""
    pid: int = ray.get(actor.pid.remote())
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError):
        ray.get(actor.pid.remote())
    return pid


def test_a_result_that_nobody_opens(wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    ref = actor.make.remote(np.arange(8.0))
    ray.wait([ref])
    assert ray.get(actor.state.remote())["bytes"] == 64
    del ref
    wait_until(lambda: all_free(actor))


def test_a_result_that_nobody_waits_for(wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    actor.make.remote(np.arange(8.0))
    wait_until(lambda: all_free(actor))


def test_views_keep_what_their_references_do_not(wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    view = ray.get(actor.make.remote(np.arange(8.0)))[2:4]
    gc.collect()
    assert ray.get(actor.state.remote())["bytes"] == 64
    assert view.get().tolist() == [2, 3]
    del view
    wait_until(lambda: all_free(actor))


def test_a_kernel_that_has_not_run_keeps_what_it_reads(wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    theirs, mine = ray.get(actor.make.remote(np.arange(8.0))), fake.zeros(8)
    stream = fake.current_stream()
    stream.hold()
    source, target = theirs._kernel_view(), mine._kernel_view()
    stream.launch(lambda: target().__setitem__(..., source()))
    del theirs
    gc.collect()
    assert ray.get(actor.state.remote())["bytes"] == 64
    stream.let_go()
    assert mine.get().tolist() == list(range(8))
    del mine
    wait_until(lambda: all_free(actor))


def test_a_failed_call_lets_go_of_its_arguments(wait_until: Callable[..., None]) -> None:
    @ray.remote
    def fail(value: Any) -> None:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        ray.get(fail.remote(fake.zeros(8)))
    gc.collect()
    wait_until(all_free)


def test_an_importer_that_is_killed(wait_until: Callable[..., None]) -> None:
    actor, mine = Holder.remote(), fake.zeros(8)
    ray.get(actor.take.remote("x", mine))
    del mine
    gc.collect()
    kill(actor)
    wait_until(all_free)


def test_an_exporter_that_is_killed() -> None:
    actor, other = Holder.remote(), Holder.remote()
    ref = actor.make_and_keep.remote("x", np.arange(4.0))
    ray.get(other.take.remote("x", ref))
    pid = kill(actor)
    message = f"{ref.hex()}.*process {pid}, which has ended"
    for _ in range(2):
        with pytest.raises(ray.exceptions.DeviceMemoryLostError, match=message):
            ray.get(ref)
    with pytest.raises(ray.exceptions.DeviceMemoryLostError, match=f"process {pid}"):
        ray.get(other.take.remote("again", ref))
    assert ray.get(other.pid.remote())  # which lives on


def test_what_a_dead_process_had_is_not_handed_on() -> None:
    actor, other = Holder.remote(), Holder.remote()
    mine = ray.get(actor.make_and_keep.remote("x", np.arange(4.0)))
    pid = kill(actor)
    with pytest.raises(ray.exceptions.DeviceMemoryLostError, match=f"process {pid}"):
        ray.get(other.sum_of.remote(mine))


def test_a_worker_that_ends_in_order_leaves_a_copy() -> None:
    @ray.remote(max_calls=1)
    def make() -> Any:
        return os.getpid(), fake.array(np.arange(6.0)[::2], order="F")

    refs = [make.remote() for _ in range(3)]
    ray.wait(refs, num_returns=3)

    @ray.remote
    def sum_of(pair: Any) -> float:
        return float(pair[1].get().sum())

    for ref in refs:
        pid, values = ray.get(ref)
        assert pid != os.getpid()
        assert values.get().tolist() == [0, 2, 4]
        assert ray.get(sum_of.remote(ref)) == 6


def test_many_fresh_arrays_leave_nothing(wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    ray.get(actor.sum_of.remote(fake.zeros(4)))
    wait_until(lambda: all_free(actor))
    files = len(os.listdir("/proc/self/fd"))
    for n in range(500):
        assert ray.get(actor.sum_of.remote(fake.array([float(n)]))) == n
    wait_until(lambda: all_free(actor))
    assert len(os.listdir("/proc/self/fd")) <= files + 2
    assert agent_of("fake").exports.all() == []


def test_no_file_of_a_device_is_left(tmp_path: Path, wait_until: Callable[..., None]) -> None:
    actor = Holder.remote()
    ray.get(actor.take.remote("x", fake.zeros(4)))
    ray.get(actor.drop.remote("x"))
    wait_until(lambda: all_free(actor))
    assert [path for folder in tmp_path.glob("*-*") if folder.is_dir() for path in folder.iterdir()] == []
