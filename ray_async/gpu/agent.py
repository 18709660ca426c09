"""The process's part in hand-overs of device arrays: one agent for each session and device library.

It has a thread, from the first hand-over on, that ends what is over and answers other processes' wishes for copies.
While hand-overs of this process live it looks at them after 10 ms, and then ever more seldom, at last four times a
second; otherwise it sleeps.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from ray_async._core.arena import Arena, get_current
from ray_async.gpu.backend import DeviceBackend, Located
from ray_async.gpu.backends import backend_named
from ray_async.gpu.caretaker import Caretaker
from ray_async.gpu.exports import ArrayExports
from ray_async.gpu.hand_over import HandOver
from ray_async.gpu.identity import Peers, own_identity
from ray_async.gpu.imports import Imports
from ray_async.gpu.points import PointReader, Points
from ray_async.gpu.receiving import Receiver
from ray_async.gpu.staging import Staging

__all__ = ("Agent", "agent_of", "close_agents")

_FORKED = (
    "this process was forked from one that used a GPU, and can use none itself: start it as a task, an actor, or with "
    'multiprocessing.get_context("spawn") instead'
)
_FOLDER = "gpu"


class Agent:
    """Hands arrays over, and takes them.

    Args:
        arena: the session's shared memory.
        backend: the library whose arrays they are.
    """

    def __init__(self, arena: Arena, backend: DeviceBackend) -> None:
        self.arena = arena
        self.backend = backend
        self.pid = os.getpid()
        self.process = own_identity()
        self.directory = os.path.join(arena.directory, _FOLDER)
        os.makedirs(self.directory, 0o700, exist_ok=True)
        self.peers = Peers()
        self.points = Points(backend, self.process, self.directory)
        self.exports = ArrayExports(arena, backend, self.process, self.points)
        self.caretaker = Caretaker(self._sweep)
        self.imports = Imports(backend, self.caretaker.wake)
        self.staging = Staging(arena, backend, self.process, self.directory, self.exports, self.peers)
        self.reader = PointReader(backend, self.directory)
        self.receiver = Receiver(
            arena, backend, self.process, self.peers, self.imports, self.points, self.reader, self.staging
        )
        self.caretaker.serve(self.staging.socket, self.staging.answer)

    def hand_over(self, array: Any) -> HandOver:
        """Begin a hand-over of an array.

        Raises:
            TypeError: it lies in memory of another process that nothing keeps.
        """
        located = self.backend.locate(array)
        mapping = self.imports.at(located.base.address)
        if mapping is None:
            begun = self._begin(array, located)
        else:
            before, after = located.form.span(located.itemsize)
            root = mapping.root_of(located.pointer - before - located.base.address, before + after)
            if root is None:
                raise TypeError(f"an array in memory of {mapping.source.process} outlived what keeps that memory")
            begun = self.exports.add(array, located, mapping.source, root)
        self.caretaker.attend()
        return begun

    def _begin(self, array: Any, located: Located) -> HandOver:
        if not located.refusal:
            return self.exports.add(array, located)
        copied = self.staging.exportable(array, located.refusal)
        return self.exports.add(copied, self.backend.locate(copied), origin=array)

    def _sweep(self) -> bool:
        """End what is over; whether there is more to look at before long."""
        return bool(self.imports.sweep()) | bool(self.exports.sweep()) | bool(self.points.sweep())

    def close(self, keep: bool) -> None:
        """End the thread.

        Args:
            keep: what others still refer to is copied into the object store first.
        """
        self.caretaker.close()
        if keep:
            self.points.await_all()
            self.staging.keep_all()
        self.staging.close()
        self.exports.close()
        self.reader.close()
        self.points.close()
        self.peers.close()


_lock = threading.Lock()
_agents: dict[str, Agent] = {}


def agent_of(name: str) -> Agent:
    """This process's agent for a device library, in the current session.

    Raises:
        RuntimeError: there is no session, or this process was forked from one that had an agent.
    """
    agent = _agents.get(name)
    arena = get_current()
    if agent is not None and agent.arena is arena and agent.pid == os.getpid():
        return agent
    if agent is not None and agent.pid != os.getpid():
        raise RuntimeError(_FORKED)
    if arena is None or arena.closed:
        raise RuntimeError("arrays on a GPU are handed over while a session runs, and none does: call init()")
    backend = backend_named(name)
    with _lock:
        agent = _agents.get(name)
        if agent is None or agent.arena is not arena:
            agent = _agents[name] = Agent(arena, backend)
            atexit.register(close_agents)
    return agent


def close_agents(keep: bool = True) -> None:
    """End this process's agents, while its session is still there.

    Args:
        keep: what others still refer to is copied into the object store first.
    """
    atexit.unregister(close_agents)
    with _lock:
        agents = list(_agents.values())
        _agents.clear()
    for agent in agents:
        if agent.pid == os.getpid():
            agent.close(keep)
