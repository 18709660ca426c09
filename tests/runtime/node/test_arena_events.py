"""Delivery of events and of the scheduler's instructions: one that fails keeps no other from its handler."""

import logging
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from ray_async._core.constants import EventKind
from ray_async.runtime.node.arena_events import ArenaEvents
from ray_async.runtime.node.node import Node
from ray_async.runtime.scheduler import events


def test_every_kind_reaches_its_part_of_the_node() -> None:
    node = MagicMock()
    delivery = ArenaEvents(node)
    delivery.deliver([(kind, 3) for kind in EventKind])
    assert delivery.counts == {kind.name.lower(): 1 for kind in EventKind}
    node.classes.demanded.assert_called_once_with(3)
    node.tasks.cancel_requested.assert_called_once_with(3)
    node.spilling.make_room.assert_called_once_with(3)
    node.to_worker.assert_any_call(3, events.WorkerBlocked)


def test_an_event_that_fails_does_not_take_its_batch_along(caplog: pytest.LogCaptureFixture) -> None:
    node = MagicMock()
    node.classes.learn.side_effect = KeyError("damaged")
    ArenaEvents(node).deliver([(EventKind.CLASS, 1), (EventKind.IDLE, 2)])
    node.idle.assert_called_once_with(2)
    assert "event class(1) failed" in caplog.text


def test_unknown_kinds_are_passed_over_and_logged_once_each(caplog: pytest.LogCaptureFixture) -> None:
    node = MagicMock()
    delivery = ArenaEvents(node)
    delivery.deliver([(0, 1), (10, 2), (10, 3), (65535, 4), (EventKind.IDLE, 5)])
    node.idle.assert_called_once_with(5)
    assert len(caplog.records) == 3
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert sum(delivery.counts.values()) == 1


def test_an_instruction_that_fails_does_not_take_the_others_along() -> None:
    done: list[str] = []

    def carry_out(instruction: str) -> None:
        if instruction == "bad":
            raise KeyError("gone")
        done.append(instruction)

    node: Any = SimpleNamespace(
        scheduler=SimpleNamespace(handle=lambda event, now: ["first", "bad", "last"]),
        _carry_out=carry_out,
        _set_timer=lambda: done.append("timer"),
    )
    Node.schedule(node, events.Tick())
    assert done == ["first", "last", "timer"]


def test_a_worker_for_which_there_is_no_place_counts_as_failed() -> None:
    node = MagicMock()
    node.config = {}
    node.workers.fork.side_effect = RuntimeError("1023 processes")
    Node._start_worker(node, "n", "1:")
    node.schedule.assert_called_once_with(events.WorkerStartFailed("n", "1:", 1))
