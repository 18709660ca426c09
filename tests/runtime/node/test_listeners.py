"""Output on its way from the node to the drivers."""

from __future__ import annotations

from typing import Any

import pytest

from ray_async.runtime.node.listeners import Listeners

JOB = 7


class FakePeer:
    """A driver's connection that takes as much as a test lets it."""

    def __init__(self) -> None:
        self.notes: dict[str, Any] = {}
        self.waiting = 0
        self.sent: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def backlog(self) -> int:
        return self.waiting


def output(*lines: str, job: int | None = JOB) -> dict[str, Any]:
    return {"kind": "log", "job": None if job is None else f"{job:08x}", "lines": list(lines)}


@pytest.fixture
def listeners() -> Listeners:
    return Listeners()


def listening(listeners: Listeners, job: int = JOB) -> FakePeer:
    peer = FakePeer()
    as_peer: Any = peer
    listeners.add(as_peer, job)
    return peer


def test_output_goes_to_the_driver_of_its_job(listeners: Listeners) -> None:
    mine, other = listening(listeners), listening(listeners, JOB + 1)
    listeners.broadcast(output("a"))
    listeners.broadcast(output("b", job=None))
    assert [message["lines"] for message in mine.sent] == [["a"], ["b"]]
    assert [message["lines"] for message in other.sent] == [["b"]]


def test_output_waits_for_the_first_listener_of_its_job(listeners: Listeners) -> None:
    listeners.broadcast(output("early"))
    assert listening(listeners, JOB + 1).sent == []
    assert listening(listeners).sent == [output("early")]


def test_a_warning_waits_for_a_first_listener(listeners: Listeners) -> None:
    listeners.warn("the disk is full")
    assert listening(listeners).sent == [{"kind": "warning", "text": "the disk is full"}]
    assert listening(listeners).sent == []


def test_a_driver_that_does_not_read_is_told_once_what_it_missed(listeners: Listeners) -> None:
    peer, reader = listening(listeners), listening(listeners)
    peer.waiting = 1 << 30
    listeners.broadcast(output("a", "b"))
    listeners.broadcast(output("c"))
    assert peer.sent == []
    peer.waiting = 0
    listeners.broadcast(output("d"))
    listeners.broadcast(output("e"))
    warning, *rest = peer.sent
    assert warning["kind"] == "warning"
    assert warning["text"].startswith("3 lines of workers' output were dropped")
    assert rest == [output("d"), output("e")]
    assert [message["kind"] for message in reader.sent] == ["log"] * 4


def test_what_was_missed_is_told_before_the_end(listeners: Listeners) -> None:
    peer = listening(listeners)
    peer.waiting = 1 << 30
    listeners.broadcast(output("a"))
    listeners.end(JOB)
    assert [message["kind"] for message in peer.sent] == ["warning", "end"]


async def test_flushing_tells_what_was_missed(listeners: Listeners) -> None:
    peer = listening(listeners)
    peer.waiting = 1 << 30
    listeners.broadcast(output("a"))
    peer.waiting = 0
    await listeners.flush()
    assert [message["kind"] for message in peer.sent] == ["warning"]
