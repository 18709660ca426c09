"""Messages between two agents, without any network between them."""

import asyncio
from typing import Any, cast

import pytest

from ray_async.cluster.dask_adapter import ClosedError, Link
from ray_async.cluster.lane import Lane, LaneClosedError, Message, RefusedError
from ray_async.exceptions import NodeDiedError


class Wire:
    """One end of a connection within this process."""

    def __init__(self) -> None:
        self.peer = "here"
        self.inbox: asyncio.Queue[list[Message] | None] = asyncio.Queue()
        self.other: Wire | None = None

    async def send(self, messages: list[Message]) -> None:
        assert self.other is not None
        self.other.inbox.put_nowait(messages)

    async def receive(self) -> list[Message]:
        found = await self.inbox.get()
        if found is None:
            raise ClosedError("closed")
        return found

    def abort(self) -> None:
        assert self.other is not None
        self.other.inbox.put_nowait(None)
        self.inbox.put_nowait(None)


def pair(handlers: dict[str, Any]) -> tuple[Lane, Lane, list[Lane]]:
    """Two ends, one of which answers; and those that have ended."""
    one, two = Wire(), Wire()
    one.other, two.other = two, one
    ended: list[Lane] = []
    asker, answerer = Lane(cast(Link, one), {}, ended.append), Lane(cast(Link, two), handlers, ended.append)
    return asker, answerer, ended


async def failing(lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
    raise {"bad": ValueError("no such thing"), "dying": NodeDiedError("gone")}[header["kind"]]


async def test_a_request_that_fails_is_answered() -> None:
    asker, answerer, _ = pair({"fail": failing})
    tasks = [asyncio.ensure_future(lane.serve()) for lane in (asker, answerer)]
    with pytest.raises(RefusedError, match="ValueError: no such thing"):
        await asker.request("fail", kind="bad")
    with pytest.raises(RefusedError, match="no operation 'unknown' here"):
        await asker.request("unknown")
    asker.close()
    await asyncio.gather(*tasks)


async def test_an_agent_whose_node_has_died_answers_nothing() -> None:
    """What is left of its node's work is judged by who hears of the agent's end."""
    asker, answerer, ended = pair({"fail": failing})
    tasks = [asyncio.ensure_future(lane.serve()) for lane in (asker, answerer)]
    waiting = asyncio.ensure_future(asker.request("fail", kind="dying"))
    with pytest.raises(RefusedError):
        await asker.request("fail", kind="bad")  # that has come and gone since
    assert not waiting.done()
    answerer.close()
    with pytest.raises(LaneClosedError):
        await waiting
    await asyncio.gather(*tasks)
    assert set(ended) == {asker, answerer}
