"""Retries that wait for their delay: the place of a record may be another one's before the delay is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from ray_async._core import codec, object_ref, store
from ray_async._core.arena import Arena
from ray_async._core.cancellation import cancel
from ray_async._core.constants import RecordState
from ray_async._core.record_view import RecordView
from ray_async._core.submission import record_of, record_seq
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.tasks import Tasks
from ray_async.serialization.pickling import explain, make_pickler
from tests.core.conftest import joined
from tests.core.session import Bench, raise_error, timed_out

QUEUED, RUNNING = RecordState.QUEUED, RecordState.RUNNING


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    codec.set_hooks(make_pickler=make_pickler, explain=explain)
    store.set_hooks(raise_error=raise_error, timed_out=timed_out, node_died=lambda: RuntimeError("the node is gone"))
    object_ref.set_hooks(out_of_band=lambda ref: None)
    yield from joined(64 << 20, tmp_path)


class Delays:
    """What is to be called later."""

    def __init__(self) -> None:
        self.actions: list[Callable[[], None]] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        self.actions.append(action)


def test_the_place_of_a_held_record_is_taken_by_another(arena: Arena) -> None:
    bench, records, delays = Bench(arena), RecordView(arena), Delays()
    part, settings = MagicMock(), MagicMock()
    settings.get.return_value = 1000
    part.cluster.others.cancel.return_value = False
    views: Any = SimpleNamespace(arena=arena, processes=part.processes, records=records, executor=bench.executor)
    failures = RecordFailures(views, listing=part.listing, history=part.history)
    dispatch: Any = delays
    tasks = Tasks(
        views, settings, dispatch, part.workers, names=part.names, failures=failures, arguments=part.arguments,
        rows=part.rows, survived=part.survived, cluster=part.cluster, may_restart=part.may_restart, node_ip="",
    )  # fmt: skip
    death: Any = SimpleNamespace(
        cause=DeathCause.UNKNOWN,
        out_of_memory=False, worker=SimpleNamespace(pid=1), summary="it died",
    )  # fmt: skip

    def hold(ref: Any, retries: int) -> int:
        record = bench.executor.pop(bench.queue)
        assert record == record_of(ref)
        tasks._lost_run(record, {**bench.executor.facts(record), "retries": retries}, death)
        assert records.record_state(record) == RUNNING
        return int(record)

    template = bench.template(lambda: 1, retries=5)
    ref = template(())
    place = hold(ref, 5)
    cancel(arena, place, False, failures.cancelled, False, record_seq(arena, place))
    tasks.cancel_requested(place)
    assert store.is_ready(arena, ref)
    del ref
    kept = []
    while True:  # until a record lies in that place
        other = template(())
        if record_of(other) == place:
            break
        kept.append(other)
        bench.run_all()
    hold(other, 3)
    first, second = delays.actions
    first()
    assert records.record_state(place) == RUNNING, "it is held on"
    second()
    assert records.record_state(place) == QUEUED
    assert bench.executor.facts(place)["retries"] == 2
