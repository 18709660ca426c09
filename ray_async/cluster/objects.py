"""Objects across nodes: what this node has given to others, and what stands here for objects of others.

An object stays where it was made, its home. A reference that leaves its node is pinned there, once for each time that
it was sent; the reader's node gives all of these back when nothing there refers to it any more. Small values come
with the news that they are there; large ones lie at home until somebody reads them, like objects on disk.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import portable, store, submission
from ray_async._core.object_view import ObjectView
from ray_async.cluster import values
from ray_async.cluster.lane import Lane, LaneClosedError

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent

__all__ = ("INLINE_BYTES", "Objects", "Place")

_logger = logging.getLogger("ray_async.cluster")

INLINE_BYTES = 64 << 10  # values up to here travel with the news of them
#: Node, offset and number of an object at its home.
Place = tuple[str, int, int]


class _Export:
    __slots__ = ("pins", "ref")

    def __init__(self, ref: Any) -> None:
        self.ref = ref
        self.pins: Counter[str] = Counter()


class _Proxy:
    __slots__ = ("entry", "number", "place", "received", "ref", "size")

    def __init__(self, place: Place, entry: int, ref: Any) -> None:
        self.place = place
        self.entry = entry
        self.ref = ref  # held while its value is not known
        self.received = 0
        self.number = 0  # of a value that lies at home, and its bytes
        self.size = 0


class Objects:
    """What an agent knows of objects that cross its node's border.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._arena = agent.arena
        self._view = ObjectView(agent.arena)
        self._exports: dict[tuple[int, int], _Export] = {}
        self._proxies: dict[Place, _Proxy] = {}
        self._elsewhere: dict[int, _Proxy] = {}  # by number
        self._next = 1
        agent.lanes.handlers.update(settle=self._settle, fetch=self._fetch, release=self._release)

    # -- out -----------------------------------------------------------------------------------------------------------

    def export(self, ref: Any, node: str) -> list[Any]:
        """Make a reference known to another node; it is pinned here until that gives it back."""
        offset, number = self.key(ref)
        proxy = self._proxy_at(offset)
        if proxy is not None and proxy.place[0] == node:
            return [*proxy.place, "own", None]
        export = self._exports.get((offset, number))
        if export is None:
            export = self._exports[offset, number] = _Export(ref)
        export.pins[node] += 1
        if self._view.is_actor(offset):
            spec = submission.read_actor_spec(self._arena, offset).decode()
            return [self._agent.node_id, offset, number, "actor", spec]
        return [self._agent.node_id, offset, number, "object", None]

    def key(self, ref: Any) -> tuple[int, int]:
        """Offset and number of a reference."""
        return portable.offset_of(ref), portable.number_of(self._arena, ref)

    def exported(self, offset: int, number: int) -> Any:
        """The reference that another node names.

        Raises:
            ValueError: it is not pinned for anybody.
        """
        export = self._exports.get((offset, number))
        if export is None:
            raise ValueError("no such object was given to another node")
        return export.ref

    async def _settle(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Wait until an object is there; give it, if it is small."""
        ref = self.exported(*header["at"])
        await self._agent.settled(ref)
        return self.outcome(ref, lane.node)

    def outcome(self, ref: Any, node: str) -> tuple[dict[str, Any], list[Any]]:
        """What is said of a settled object: its value where that is small, else how large it is."""
        size = portable.size_of(self._arena, ref)
        if size > INLINE_BYTES:
            return {"size": size}, []
        return self.contents(ref, node)

    def contents(self, ref: Any, node: str) -> tuple[dict[str, Any], list[Any]]:
        """The value of a settled object that is in memory, for a node.

        Raises:
            RuntimeError: it is on disk.
        """
        found = portable.read_value(self._arena, ref)
        if found is None:
            raise RuntimeError("the object is not in memory")
        is_error, is_pickled, value = found
        header, frames = values.pack(is_pickled, value, lambda inner: self.export(inner, node))
        return {**header, "error": is_error}, frames

    async def _fetch(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Give an object's value, however large."""
        ref = self.exported(*header["at"])
        while True:
            await self._agent.settled(ref)
            if portable.read_value(self._arena, ref) is not None:
                return self.contents(ref, lane.node)

    async def _release(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """Another node gives pins back."""
        for offset, number, count in header["pins"]:
            self._unpin((offset, number), lane.node, count)

    def _unpin(self, key: tuple[int, int], node: str, count: int) -> None:
        export = self._exports.get(key)
        if export is None:
            return
        export.pins[node] -= count
        if export.pins[node] <= 0:
            del export.pins[node]
        if not export.pins:
            del self._exports[key]

    # -- in ------------------------------------------------------------------------------------------------------------

    def take(self, described: list[Any], lane: Lane) -> Any:
        """The reference of this session for one that another agent has exported."""
        node, offset, number, kind, spec = described
        if kind == "own":
            return self.exported(offset, number)
        place = (node, offset, number)
        proxy = self._proxies.get(place)
        if proxy is not None:
            ref = proxy.ref or portable.reference_at(self._arena, proxy.entry)
            if ref is not None:
                proxy.received += 1
                return ref
            self._gone(proxy)
        if kind == "actor":
            ref = self._agent.actors.proxy(place, spec)
            proxy = self._proxies[place] = _Proxy(place, self.key(ref)[0], ref)
            proxy.received = 1
            return ref
        ref = store.new_promise(self._arena)
        proxy = self._proxies[place] = _Proxy(place, self.key(ref)[0], ref)
        proxy.received = 1
        self._agent.spawn(self._learn(proxy, lane))
        return ref

    def _proxy_at(self, offset: int) -> _Proxy | None:
        number = portable.elsewhere(self._arena, offset)
        if number:
            return self._elsewhere.get(number)
        return next((p for p in self._proxies.values() if p.entry == offset and p.ref is not None), None)

    async def _learn(self, proxy: _Proxy, lane: Lane) -> None:
        """Wait for an object of another node to be there."""
        try:
            header, frames = await lane.request("settle", at=list(proxy.place[1:]))
        except LaneClosedError:
            self._lost(proxy)
            return
        ref, proxy.ref = proxy.ref, None
        if "size" in header:
            self._lies_elsewhere(proxy, header["size"])
        else:
            self.complete(ref, header, frames, lane)
            self._gone(proxy)

    def complete(self, ref: Any, header: dict[str, Any], frames: list[Any], lane: Lane) -> None:
        """Complete a pending object with a value that came."""
        value = values.unpack(header, frames, lambda described: self.take(described, lane))
        store.fulfil(self._arena, ref, value, header["error"])

    def lies_elsewhere(self, ref: Any, place: Place, size: int) -> None:
        """Complete a pending object whose value lies at another node, where it is pinned once for this one."""
        proxy = _Proxy(place, self.key(ref)[0], None)
        proxy.received = 1
        self._lies_elsewhere(proxy, size)

    def _lies_elsewhere(self, proxy: _Proxy, size: int) -> None:
        proxy.number, self._next, proxy.size = self._next, self._next + 1, size
        self._elsewhere[proxy.number] = proxy
        self._proxies.setdefault(proxy.place, proxy)
        if not portable.complete_elsewhere(self._arena, proxy.entry, proxy.number, size):
            self._gone(proxy)

    def wanted(self, number: int) -> None:
        """Somebody here waits for a value that lies at another node."""
        proxy = self._elsewhere.get(number)
        ref = portable.reference_at(self._arena, proxy.entry) if proxy is not None else None
        if proxy is not None and ref is not None and portable.expect_here(self._arena, proxy.entry, number):
            self._agent.spawn(self._bring(proxy, ref))

    async def _bring(self, proxy: _Proxy, ref: Any) -> None:
        try:
            lane = await self._agent.lane(proxy.place[0])
            header, frames = await lane.request("fetch", at=list(proxy.place[1:]))
        except ConnectionError:
            self._lost(proxy)
            return
        self.complete(ref, header, frames, lane)
        self._gone(proxy)

    def unwanted(self, number: int) -> None:
        """Nothing here refers any more to an object whose value lies at another node."""
        proxy = self._elsewhere.pop(number, None)
        if proxy is not None:
            self._gone(proxy)

    def _gone(self, proxy: _Proxy) -> None:
        """Nothing here needs the object's home any more: give its pins back."""
        self._elsewhere.pop(proxy.number, None)
        if self._proxies.get(proxy.place) is proxy:
            del self._proxies[proxy.place]
        self.give_back(proxy.place, proxy.received)
        proxy.received = 0

    def give_back(self, place: Place, count: int) -> None:
        """Give pins of another node's object back."""
        node, offset, number = place
        if count:
            self._agent.notify(node, "release", pins=[[offset, number, count]])

    def handle_dropped(self, place: Place) -> None:
        """Nothing here has a handle of another node's actor any more."""
        proxy = self._proxies.get(place)
        if proxy is not None:
            proxy.ref = None
            self._gone(proxy)

    # -- losses --------------------------------------------------------------------------------------------------------

    def node_lost(self, node: str) -> None:
        """A node is gone: its pins are void, and so is what lay there."""
        for key, export in list(self._exports.items()):
            if node in export.pins:
                self._unpin(key, node, export.pins[node])
        lost = {id(p): p for p in (*self._proxies.values(), *self._elsewhere.values()) if p.place[0] == node}
        for proxy in lost.values():
            if proxy.number:
                self._lost(proxy)

    def _lost(self, proxy: _Proxy) -> None:
        """An object's home is gone."""
        self._proxies.pop(proxy.place, None)
        self._elsewhere.pop(proxy.number, None)
        if proxy.number:
            # The node knows whether the task that made it can run again.
            portable.complete_elsewhere(self._arena, proxy.entry, proxy.number, proxy.size)
            self._agent.channel.tell("elsewhere_lost", entry=proxy.entry, number=proxy.number)
        elif proxy.ref is not None:
            ref, proxy.ref = proxy.ref, None
            error = errors.OwnerDiedError(ref.hex(), f"node {proxy.place[0]}")
            store.fulfil(self._arena, ref, errors.to_payload(error), True)
