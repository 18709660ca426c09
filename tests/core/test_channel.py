"""Channels of compiled graphs, in one process."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.channel import Bell, Channel, new_bell, new_channel, outcome


def ends(arena: Arena, slots: int, width: int) -> tuple[Channel, Channel, Bell]:
    """The writer's and the reader's end of one channel, and its bell."""
    bell, memory = new_bell(arena), new_channel(arena, slots, width)
    theirs = Bell(arena, bell)
    return Channel(arena, memory, Bell(arena, bell), slots, width), Channel(arena, memory, theirs, slots, width), theirs


def test_messages_come_in_order_round_and_round(arena: Arena) -> None:
    writer, reader, _ = ends(arena, slots=3, width=2)
    for n in range(10):
        writer.send((store.put(arena, n), store.put(arena, "x")))
        writer.send((store.put(arena, -n), store.put(arena, "y")))
        for expected in ([n, "x"], [-n, "y"]):
            refs = reader.receive()
            assert refs is not None
            assert [store.read(arena, ref) for ref in refs] == expected


def test_a_full_ring_and_a_message_of_another_width_are_refused(arena: Arena) -> None:
    writer, reader, _ = ends(arena, slots=1, width=1)
    ref = store.put(arena, 1)
    with pytest.raises(BufferError):
        writer.send((ref, ref))
    writer.send((ref,))
    with pytest.raises(BufferError):
        writer.send((ref,))
    assert reader.receive() is not None
    writer.send((ref,))


def test_what_is_sent_is_kept_until_it_was_read_and_no_longer_than_the_next_message(arena: Arena) -> None:
    writer, reader, _ = ends(arena, slots=4, width=1)
    ref = store.put(arena, bytes(100))
    before = sys.getrefcount(ref)
    for _ in range(3):
        writer.send((ref,))
    assert sys.getrefcount(ref) == before + 3
    for _ in range(3):
        assert reader.receive() is not None
    writer.send((store.put(arena, 0),))
    assert sys.getrefcount(ref) == before


def test_a_reader_sleeps_until_the_bell_rings(arena: Arena) -> None:
    writer, reader, bell = ends(arena, slots=2, width=1)
    received: list[object] = []

    def read() -> None:
        while (refs := reader.receive()) is not None:
            received.append(store.read(arena, refs[0]))

    thread = threading.Thread(target=read)
    thread.start()
    for n in range(200):
        while True:
            try:
                writer.send((store.put(arena, n),))
                break
            except BufferError:
                continue
    while len(received) < 200:
        pass
    bell.close()
    thread.join(30)
    assert received == list(range(200))
    assert bell.closed
    assert reader.receive() is None


def test_a_peer_that_has_gone_ends_the_wait(arena: Arena) -> None:
    _, reader, _ = ends(arena, slots=2, width=1)
    read_end, write_end = os.pipe()
    os.close(write_end)
    try:
        assert reader.receive(read_end) is None
    finally:
        os.close(read_end)


def test_an_object_that_has_gone_is_not_read(arena: Arena) -> None:
    writer, reader, _ = ends(arena, slots=2, width=1)
    writer.send((store.put(arena, bytes(100)),))
    del writer  # as when its process dies: what it refers to is freed
    others = [store.put(arena, bytes(100)) for _ in range(3)]  # may take the same place
    assert reader.receive() is None
    del others


def test_the_outcome_of_an_object(arena: Arena) -> None:
    assert outcome(arena, store.put(arena, [1])) == (False, [1])
    failed = store.new_promise(arena)
    store.fulfil(arena, failed, b"why", error=True)
    assert outcome(arena, failed) == (True, b"why")
