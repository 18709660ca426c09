"""The node's workers: forking them through the zygote, their output, their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Any

from ray_async.runtime.cgroup import Cgroup, MemoryEvents
from ray_async.runtime.logs import LogPump
from ray_async.transport.frames import FrameReader, pack

__all__ = ("WorkerProcess", "Workers")

_logger = logging.getLogger("ray_async.node")
_DRAIN_READS = 64


class WorkerProcess:
    """A worker as the node knows it."""

    __slots__ = (
        "doomed",
        "env_key",
        "follows",
        "job",
        "lease",
        "name",
        "node_id",
        "pid",
        "pipes",
        "sequence",
        "short_of_memory",
        "slot",
        "status",
        "up",
    )

    def __init__(self, slot: int, node_id: str, env_key: str, job: int) -> None:
        self.slot = slot
        self.node_id = node_id
        self.env_key = env_key
        self.job = job
        self.pid = 0
        self.up = False
        self.name = ""
        self.status: int | None = None
        self.pipes: dict[int, str] = {}
        self.sequence = 0
        self.lease: Any = None
        self.doomed: str | None = None
        self.follows = 0
        self.short_of_memory: str | None = None


class Workers:
    """Starts, watches and ends workers.

    Args:
        view: the node's hands in the arena.
        zygote: socket to the zygote.
        zygote_pid: its pid.
        on_up, on_end, on_failed: what to call with a worker that is ready, has ended, could not be started.
        on_output: called with log messages.
    """

    def __init__(
        self,
        view: Any,
        zygote: socket.socket,
        zygote_pid: int,
        *,
        on_end: Callable[[WorkerProcess, int], None],
        on_failed: Callable[[WorkerProcess, str], None],
        on_output: Callable[[dict[str, Any]], None],
        on_zygote_death: Callable[[], None],
    ) -> None:
        self._view = view
        self._zygote = zygote
        self.zygote_pid = zygote_pid
        self._on_end = on_end
        self._on_failed = on_failed
        self._on_output = on_output
        self._on_zygote_death = on_zygote_death
        self._reader = FrameReader()
        self._fds: list[int] = []
        self.by_slot: dict[int, WorkerProcess] = {}
        self.by_pid: dict[int, WorkerProcess] = {}
        self.pump = LogPump()
        self.memory_events: MemoryEvents | None = self._read_memory_events()

    def start(self) -> None:
        """Listen to the zygote."""
        self._zygote.setblocking(False)
        asyncio.get_running_loop().add_reader(self._zygote.fileno(), self._on_zygote)

    def fork(
        self, node_id: str, env_key: str, job: dict[str, Any], environment: Any, facts: dict[str, Any]
    ) -> WorkerProcess:
        """Ask the zygote for a worker."""
        slot = self._view.reserve()
        worker = WorkerProcess(slot, node_id, env_key, job["id"])
        self.by_slot[slot] = worker
        request = {
            "slot": slot,
            "env_key": env_key,
            "job": job,
            "runtime_env": environment,
            "node_id": node_id,
            **facts,
        }
        self._send(request)
        return worker

    def adopt(self, slot: int, node_id: str, env_key: str, job: int) -> WorkerProcess:
        """Note a worker that the zygote forked by itself at the start."""
        worker = self.by_slot[slot] = WorkerProcess(slot, node_id, env_key, job)
        return worker

    def _send(self, request: dict[str, Any]) -> None:
        data = pack(request)
        self._zygote.setblocking(True)
        try:
            self._zygote.sendall(data)
        except OSError as error:
            _logger.error("the zygote does not take requests: %s", error)
        finally:
            self._zygote.setblocking(False)

    # -- what the zygote says ------------------------------------------------------------------------------------------

    def _on_zygote(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._zygote, 1 << 16, 32)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds += fds
        if not data:
            asyncio.get_running_loop().remove_reader(self._zygote.fileno())
            self._on_zygote_death()
            return
        for message in self._reader.feed(data):
            if "forked" in message:
                self._forked(message)
            elif "ended" in message:
                self._ended(message["ended"], message["status"])
            elif "failed" in message:
                worker = self.by_slot.pop(message["failed"], None)
                if worker is not None:
                    self._view.reap(worker.slot)
                    self._on_failed(worker, message["reason"])

    def _forked(self, message: dict[str, Any]) -> None:
        out, err = self._fds[:2]
        del self._fds[:2]
        worker = self.by_slot.get(message["forked"])
        if worker is None:
            os.close(out)
            os.close(err)
            return
        worker.pid = message["pid"]
        self.by_pid[worker.pid] = worker
        self.pump.set_worker(worker.pid, "", f"{worker.job:08x}")
        for fd, stream in ((out, "out"), (err, "err")):
            os.set_blocking(fd, False)
            worker.pipes[fd] = stream
            asyncio.get_running_loop().add_reader(fd, self._on_pipe, worker, fd, stream)

    def _on_pipe(self, worker: WorkerProcess, fd: int, stream: Any) -> None:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        if data:
            for message in self.pump.feed(worker.pid, stream, data):
                self._on_output(message)
            return
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        worker.pipes.pop(fd, None)

    def drain(self, job: int | None = None) -> None:
        """Pass on what the workers (of one job) have written so far."""
        for worker in self.by_pid.values():
            if job in (None, worker.job):
                self._drain(worker)

    def _drain(self, worker: WorkerProcess) -> None:
        for fd, stream in list(worker.pipes.items()):
            # No more than a pipe can hold: a process that writes for ever must not hold up the node.
            for _ in range(_DRAIN_READS):
                if fd not in worker.pipes or not select.select([fd], [], [], 0)[0]:
                    break
                self._on_pipe(worker, fd, stream)

    def _ended(self, pid: int, status: int) -> None:
        worker = self.by_pid.pop(pid, None)
        if worker is None:
            return  # an orphan of a worker, which the zygote inherited
        worker.status = status
        # Whatever the worker started goes with it: it has a process group of its own.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        # Its last words are in the pipes already: they were written before it ended.
        self._drain(worker)
        asyncio.get_running_loop().call_soon(self._bury, worker, status)

    def _bury(self, worker: WorkerProcess, status: int) -> None:
        self.by_slot.pop(worker.slot, None)
        for message in self.pump.close(worker.pid):
            self._on_output(message)
        self._on_end(worker, status)

    # -- ending workers ------------------------------------------------------------------------------------------------

    def interrupt(self, worker: WorkerProcess) -> None:
        """Send the signal that makes a worker look at its task's cancel flag."""
        self._signal(worker, signal.SIGINT)

    def kill(self, worker: WorkerProcess, why: str) -> None:
        """End a worker at once; ``why`` is for the error of what it runs."""
        worker.doomed = worker.doomed or why
        self._signal(worker, signal.SIGKILL)

    def _signal(self, worker: WorkerProcess, number: int) -> None:
        # Until the zygote has reaped it, and the node has heard of that, the pid cannot belong to another process.
        if worker.pid and worker.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, number)

    @staticmethod
    def _read_memory_events() -> MemoryEvents | None:
        with contextlib.suppress(OSError):
            return Cgroup().memory_events()
        return None

    def take_memory_events(self) -> tuple[MemoryEvents | None, MemoryEvents | None]:
        """The counts of kills for lack of memory, as they were at the last death and as they are now."""
        before, self.memory_events = self.memory_events, self._read_memory_events()
        return before, self.memory_events
