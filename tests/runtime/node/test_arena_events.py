"""Delivery of events and of the scheduler's instructions: one that fails keeps no other from its handler."""

import logging
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from ray_async._core.constants import EventKind
from ray_async.runtime.node.arena_events import ArenaEvents, handlers
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.worker_lifecycle import WorkerLifecycle
from ray_async.runtime.scheduler import events

PARTS = ("classes", "tasks", "overflow", "leases", "actors", "spilling", "worker_up")


def parts() -> Any:
    """A part of the node for each parameter of `handlers`, which notes what it is asked."""
    return MagicMock(spec=PARTS)


def delivery_to(node: Any) -> ArenaEvents:
    return ArenaEvents(handlers(**{name: getattr(node, name) for name in PARTS}))


def test_every_kind_reaches_its_part_of_the_node() -> None:
    node = parts()
    delivery = delivery_to(node)
    delivery.deliver([(kind, 3) for kind in EventKind])
    assert delivery.counts == {kind.name.lower(): 1 for kind in EventKind}
    node.classes.demanded.assert_called_once_with(3)
    node.tasks.cancel_requested.assert_called_once_with(3)
    node.spilling.make_room.assert_called_once_with(3)
    node.leases.blocked.assert_called_once_with(3)
    node.worker_up.assert_called_once_with(3)


def test_an_event_that_fails_does_not_take_its_batch_along(caplog: pytest.LogCaptureFixture) -> None:
    node = parts()
    node.classes.learn.side_effect = KeyError("damaged")
    delivery_to(node).deliver([(EventKind.CLASS, 1), (EventKind.IDLE, 2)])
    node.leases.idle.assert_called_once_with(2)
    assert "event class(1) failed" in caplog.text


def test_unknown_kinds_are_passed_over_and_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    node = parts()
    delivery = delivery_to(node)
    delivery.deliver([(0, 1), (10, 2), (10, 3), (65535, 4), (EventKind.IDLE, 5)])
    node.leases.idle.assert_called_once_with(5)
    assert len(caplog.records) == 3
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert sum(delivery.counts.values()) == 1


def test_an_instruction_that_fails_does_not_take_the_others_along(caplog: pytest.LogCaptureFixture) -> None:
    done: list[Any] = []

    def carry_out(instruction: Any) -> None:
        if instruction == "bad":
            raise KeyError("gone")
        done.append(instruction)

    scheduler: Any = SimpleNamespace(
        handle=lambda event, now: ["first", "bad", "last"],
        next_wakeup=lambda: done.append("timer"),
    )
    Dispatch(scheduler, carry_out, refresh=lambda: None).schedule(events.Tick())
    assert done == ["first", "last", "timer"]
    assert "instruction bad failed" in caplog.text


def test_a_tick_refreshes_what_the_scheduler_knows_before_it_acts() -> None:
    done: list[Any] = []
    scheduler: Any = SimpleNamespace(handle=lambda event, now: [event], next_wakeup=lambda: None)
    Dispatch(scheduler, done.append, refresh=lambda: done.append("refreshed")).tick()
    assert done == ["refreshed", events.Tick()]


def test_a_worker_for_which_there_is_no_place_counts_as_failed() -> None:
    part = MagicMock()
    part.workers.fork.side_effect = RuntimeError("1023 processes")
    lifecycle = WorkerLifecycle(
        part.processes, part.dispatch, part.workers, part.classes, part.actors, part.tasks,
        environments=part.environments, deaths=part.deaths, rows=part.rows, locations=part.locations,
        listeners=part.listeners, labels={},
    )  # fmt: skip
    lifecycle.start("n", "1:")
    part.dispatch.schedule.assert_called_once_with(events.WorkerStartFailed("n", "1:", 1))
