"""The direct lane: requests and notices between agents, many at a time over one connection for each pair."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from ray_async.cluster.dask_adapter import ClosedError, Link
from ray_async.exceptions import NodeDiedError

__all__ = ("Lane", "LaneClosedError", "Lanes", "Message", "RefusedError")

_logger = logging.getLogger("ray_async.cluster")

#: What is said, as JSON could hold it, and frames of bytes.
Message = tuple[dict[str, Any], list[Any]]
Handler = Callable[["Lane", dict[str, Any], list[Any]], Awaitable[Message | None]]


class LaneClosedError(ConnectionError):
    """The other agent is gone, or cannot be reached."""


class RefusedError(RuntimeError):
    """The other agent could not do what it was asked to."""


class Lane:
    """One connection to another agent.

    What is sent while the connection is busy goes out together.

    Args:
        link: the connection.
        handlers: by operation, what takes requests and notices.
        node: the other's node id, once it is known.
    """

    def __init__(self, link: Link, handlers: dict[str, Handler], closed: Callable[[Lane], None]) -> None:
        self._link = link
        self._handlers = handlers
        self._closed = closed
        self._outgoing: list[Message] = []
        self._flushing = False
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._next = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.node = ""
        self.is_open = True
        #: Numbers of definitions that the other has from here, and those that came from there.
        self.known: set[int] = set()
        self.definitions: dict[int, Any] = {}

    def send(self, op: str, frames: list[Any] | None = None, **fields: Any) -> None:
        """Send a notice; nothing happens when the other is gone.

        Notices and requests arrive in the order in which they were sent.
        """
        self._push({"op": op, **fields}, frames or [])

    async def request(self, op: str, frames: list[Any] | None = None, **fields: Any) -> Message:
        """Send a request and wait for its answer.

        Raises:
            LaneClosedError: the other is gone.
            RefusedError: it could not do it.
        """
        if not self.is_open:
            raise LaneClosedError(f"the node at {self._link.peer} is gone")
        self._next += 1
        number = self._next
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        self._push({"op": op, "id": number, **fields}, frames or [])
        try:
            header, answer = await future
        finally:
            self._answers.pop(number, None)
        if "refused" in header:
            raise RefusedError(header["refused"])
        return header, answer

    def _push(self, header: dict[str, Any], frames: list[Any]) -> None:
        if not self.is_open:
            return
        self._outgoing.append((header, frames))
        if not self._flushing:
            self._flushing = True
            self._spawn(self._flush())

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self) -> None:
        try:
            while self._outgoing:
                messages, self._outgoing = self._outgoing, []
                await self._link.send(messages)
        except (ClosedError, OSError):
            self._end()
        finally:
            self._flushing = False

    async def serve(self) -> None:
        """Take messages until the connection is gone."""
        try:
            while self.is_open:
                for header, frames in await self._link.receive():
                    self._received(header, frames)
        except (ClosedError, OSError):
            pass  # that is how a connection ends; who waits for answers is told below
        finally:
            self._end()

    def _received(self, header: dict[str, Any], frames: list[Any]) -> None:
        if "re" in header:
            waiting = self._answers.get(header["re"])
            if waiting is not None and not waiting.done():
                waiting.set_result((header, frames))
            return
        handler = self._handlers.get(header.get("op", ""))
        if handler is None:
            _logger.error("the node at %s sent %r, which nobody here knows", self._link.peer, header.get("op"))
            self._answer(header, ({"refused": f"no operation {header.get('op')!r} here"}, []))
            return
        # The part of a handler up to its first wait runs now: what depends on the order is done there.
        self._spawn(self._handle(handler, header, frames))

    async def _handle(self, handler: Handler, header: dict[str, Any], frames: list[Any]) -> None:
        try:
            answer = await handler(self, header, frames)
        except NodeDiedError:
            return  # this process is about to end, and the other one hears of that
        except Exception as error:
            # One request that fails must not end the connection; the asker learns of it.
            _logger.exception("%s of the node at %s failed", header.get("op"), self._link.peer)
            answer = {"refused": f"{type(error).__name__}: {error}"}, []
        self._answer(header, answer or ({}, []))

    def _answer(self, header: dict[str, Any], answer: Message) -> None:
        if "id" in header:
            self._push({"re": header["id"], **answer[0]}, answer[1])

    def _end(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self._link.abort()
        error = LaneClosedError(f"the node at {self._link.peer} is gone")
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(error)
        self._closed(self)

    def close(self) -> None:
        """End the connection: who waits for an answer gets `LaneClosedError`."""
        self._end()


class Lanes:
    """The connections of an agent, one for each other agent that it has to do with.

    Args:
        connect: connects to an agent's address.
        hello: what is said of this node when a connection begins.
    """

    def __init__(self, connect: Callable[[str], Awaitable[Link]], hello: Callable[[], dict[str, Any]]) -> None:
        self._connect = connect
        self._hello = hello
        self.handlers: dict[str, Handler] = {"hello": self._hello_of}
        self._open: dict[str, Lane] = {}  # by node
        self._opening: dict[str, asyncio.Task[Lane]] = {}
        self._all: set[Lane] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Called with the node of each connection that is gone.
        self.on_lost: Callable[[str], None] = lambda node: None

    def open_to(self, node: str) -> Lane | None:
        """The connection to a node, if there is one."""
        found = self._open.get(node)
        return found if found is not None and found.is_open else None

    async def to(self, node: str, address: str) -> Lane:
        """The connection to a node, made where there is none.

        Raises:
            LaneClosedError: the node cannot be reached.
        """
        found = self.open_to(node)
        if found is not None:
            return found
        opening = self._opening.get(node)
        if opening is None:
            opening = self._opening[node] = asyncio.ensure_future(self._make(node, address))
            opening.add_done_callback(lambda _: self._opening.pop(node, None))
        return await asyncio.shield(opening)

    async def _make(self, node: str, address: str) -> Lane:
        try:
            link = await self._connect(address)
        except OSError as error:
            raise LaneClosedError(f"the node at {address} cannot be reached: {error}") from error
        lane = Lane(link, self.handlers, self._lost)
        lane.node = node
        self._all.add(lane)
        self._open[node] = lane
        lane.send("hello", **self._hello())
        task = asyncio.ensure_future(lane.serve())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return lane

    async def serve(self, link: Link) -> None:
        """Serve a connection that another agent has made."""
        lane = Lane(link, self.handlers, self._lost)
        self._all.add(lane)
        await lane.serve()

    async def _hello_of(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        lane.node = str(header["node"])
        self._open.setdefault(lane.node, lane)

    def _lost(self, lane: Lane) -> None:
        self._all.discard(lane)
        if self._open.get(lane.node) is lane:
            del self._open[lane.node]
        self.on_lost(lane.node)

    def all_open(self) -> list[Lane]:
        """The connections that there are, one for each node."""
        return list(self._open.values())

    def drop(self, node: str) -> None:
        """A node is gone: end its connections."""
        for lane in [lane for lane in self._all if lane.node == node]:
            lane.close()

    def close(self) -> None:
        """End all connections."""
        for lane in list(self._all):
            lane.close()
