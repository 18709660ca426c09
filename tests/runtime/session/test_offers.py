"""Messages that a node can do without: whoever sends them waits neither for it nor for the answer to a request."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ray_async._core.constants import NodeState
from ray_async.runtime.session.node_link import NodeLink
from ray_async.transport import channel as channel_module
from ray_async.transport.channel import Channel, ChannelClosedError
from ray_async.transport.frames import FrameReader

TEXT = "x" * 4_000


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def read(sock: socket.socket, count: int) -> list[dict[str, Any]]:
    reader = FrameReader()
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += reader.feed(sock.recv(1 << 16))
    return found


def offer_until_refused(channel: Channel) -> int:
    accepted = 0
    while channel.offer("failed", number=accepted, text=TEXT):
        accepted += 1
    return accepted


def test_a_peer_that_reads_nothing_gets_a_bounded_number_and_keeps_nobody_waiting(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, _ = ends
    accepted = offer_until_refused(channel)
    assert accepted > channel_module._MAX_OFFERS
    assert not channel.offer("failed", number=accepted)


def test_what_was_offered_arrives_in_order_before_the_next_message(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    accepted = offer_until_refused(channel)
    sending = threading.Thread(target=channel.send, args=("last",))
    sending.start()
    messages = read(theirs, accepted + 1)
    sending.join()
    assert [message.get("number") for message in messages] == [*range(accepted), None]
    assert messages[-1]["op"] == "last"


def test_a_request_with_a_limit_keeps_to_it_when_offers_wait(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    accepted = offer_until_refused(channel)
    assert channel.request_within(0.01, "asked") is None
    asking = threading.Thread(target=channel.send, args=("last",))
    asking.start()
    assert read(theirs, accepted + 1)[-1]["op"] == "last"
    asking.join()


def test_an_offer_does_not_wait_for_the_answer_of_another_threads_request(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, theirs = ends
    ended = []

    def ask() -> None:
        with pytest.raises(ChannelClosedError):
            channel.request("never_answered")
        ended.append(True)

    asking = threading.Thread(target=ask)
    asking.start()
    assert read(theirs, 1)[0]["op"] == "never_answered"
    assert channel.offer("failed")
    assert read(theirs, 1)[0]["op"] == "failed"
    theirs.close()
    asking.join()
    assert ended


def test_offers_of_threads_all_arrive(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    threads = [
        threading.Thread(target=lambda: [channel.offer("failed") for _ in range(50)])
        for _ in range(5)  # no more than may wait, all together
    ]
    for thread in threads:
        thread.start()
    assert len(read(theirs, 250)) == 250
    for thread in threads:
        thread.join()


def link_to(path: Path) -> NodeLink:
    arena = SimpleNamespace(slot=3, node_state=NodeState.UP)
    return NodeLink(arena, str(path), lambda: RuntimeError("not to be raised"))


def test_a_node_that_accepts_nobody_is_told_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "node.sock"))
        listening.listen(0)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(tmp_path / "node.sock"))
            link = link_to(tmp_path)
            link.offer("failed")
            link.offer("failed")
        listening.accept()[0].close()
        link.offer("failed", text="third")
        ours, _ = listening.accept()
        with ours:
            hello, third = read(ours, 2)
        link.close()
    assert (hello["op"], hello["slot"]) == ("hello", 3)
    assert (third["text"], third["dropped"]) == ("third", 2)


def test_a_node_that_is_gone_is_told_nothing(tmp_path: Path) -> None:
    link = link_to(tmp_path)
    link.offer("failed")
    link.close()
    assert link._dropped == 1
