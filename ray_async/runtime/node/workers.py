"""The node's workers: forking them through the zygote, their output, their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async._core.node_view import NodeView
from ray_async.config import KILL_CHILD_PROCESSES, WORKER_REGISTER_TIMEOUT_S, Settings
from ray_async.machine.cgroup import Cgroup, MemoryEvents
from ray_async.runtime.logs.pump import LogPump
from ray_async.runtime.node.death import descendants
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.pipes import WorkerPipes
from ray_async.transport.frames import FrameError, FrameReader, pack

if TYPE_CHECKING:
    from ray_async.runtime.messages.job_description import JobDescription
    from ray_async.runtime.messages.session_description import WorkerRequest
    from ray_async.spec.class_description import Environment

__all__ = ("WorkerProcess", "Workers")

_logger = logging.getLogger("ray_async.node")
_FRUITLESS_ZYGOTES = 3
_LINE_PATIENCE_S = 0.25  # for the end of a line


class WorkerProcess:
    """A worker as the node knows it."""

    __slots__ = (
        "accelerators",
        "adopted",
        "end_elsewhere",
        "env_key",
        "interrupted",
        "job",
        "kill_cause",
        "kill_detail",
        "lease",
        "name",
        "next_lease",
        "node_id",
        "pid",
        "pipes",
        "sequence",
        "slot",
        "started",
        "status",
        "up",
    )

    def __init__(self, slot: int, node_id: str, env_key: str, job: int) -> None:
        self.slot = slot
        self.node_id = node_id
        self.env_key = env_key
        self.job = job
        self.started = time.monotonic()
        self.pid = 0
        self.up = False
        self.adopted = False
        self.interrupted = False
        self.name = ""
        self.status: int | None = None
        self.pipes: WorkerPipes | None = None
        self.sequence = 0
        self.lease: Any = None
        self.accelerators: dict[str, list[int]] = {}  # ids of the devices that its lease has
        #: Why the node ends it; None while it does not.
        self.kill_cause: DeathCause | None = None
        self.kill_detail = ""
        self.next_lease = 0
        #: Ends it where it is a process of another machine; None for this machine's.
        self.end_elsewhere: Callable[[], None] | None = None


class Workers:
    """Starts, watches and ends workers.

    Args:
        view: the node's hands in the arena.
        settings: the node's.
        zygote: socket to the zygote.
        zygote_pid: its pid.
        on_up, on_end, on_failed: what to call with a worker that is ready, has ended, could not be started.
        on_output: called with log messages.
        on_warning: called with what the user ought to know.
        start_zygote: gives the socket and pid of another zygote.
        on_zygote_death: called when zygotes die one after the other.
    """

    def __init__(
        self,
        view: NodeView,
        settings: Settings,
        zygote: socket.socket,
        zygote_pid: int,
        *,
        on_end: Callable[[WorkerProcess, int], None],
        on_failed: Callable[[WorkerProcess, str], None],
        on_output: Callable[[dict[str, Any]], None],
        on_warning: Callable[[str], None],
        start_zygote: Callable[[], tuple[socket.socket, int]],
        on_zygote_death: Callable[[], None],
    ) -> None:
        self._view = view
        self._settings = settings
        self._zygote = zygote
        self.zygote_pid = zygote_pid
        self._on_end = on_end
        self._on_failed = on_failed
        self._on_output = on_output
        self._held: dict[tuple[int, Any], asyncio.TimerHandle] = {}  # will show lines that do not end
        self._on_warning = on_warning
        self._start_zygote = start_zygote
        self._on_zygote_death = on_zygote_death
        self._reader = FrameReader()
        self._fds: list[tuple[int, int]] = []
        self._fruitless = 0  # deaths of zygotes in a row that had not forked a worker
        self.by_slot: dict[int, WorkerProcess] = {}
        self.by_pid: dict[int, WorkerProcess] = {}
        self.pump = LogPump()
        self.memory_events: MemoryEvents | None = self._read_memory_events()

    def start(self) -> None:
        """Listen to the zygote."""
        self._zygote.setblocking(False)
        asyncio.get_running_loop().add_reader(self._zygote.fileno(), self._on_zygote)

    def fork(
        self,
        node_id: str,
        env_key: str,
        job: JobDescription,
        environment: Environment,
        labels: dict[str, str],
        number: int = 0,
    ) -> WorkerProcess:
        """Ask the zygote for a worker; ``labels`` and ``number`` are its logical node's."""
        slot = self._view.reserve()
        self._view.set_node(slot, number)
        worker = WorkerProcess(slot, node_id, env_key, job["id"])
        self.by_slot[slot] = worker
        request: WorkerRequest = {
            "slot": slot,
            "env_key": env_key,
            "job": job,
            "runtime_env": environment,
            "node_id": node_id,
            "labels": labels,
        }
        self._send(request)
        return worker

    def adopt(self, slot: int, node_id: str, env_key: str, job: int) -> WorkerProcess:
        """Note a worker that the zygote forked by itself at the start."""
        worker = self.by_slot[slot] = WorkerProcess(slot, node_id, env_key, job)
        worker.adopted = True
        return worker

    def _send(self, request: WorkerRequest) -> None:
        data = pack(request)
        self._zygote.setblocking(True)
        try:
            self._zygote.sendall(data)
        except OSError as error:
            _logger.error("the zygote does not take requests: %s", error)
        finally:
            self._zygote.setblocking(False)

    # -- reports of the zygote -----------------------------------------------------------------------------------------

    def _on_zygote(self) -> None:
        try:
            data, fds, flags, _ = socket.recv_fds(self._zygote, 1 << 16, 32)
        except BlockingIOError:
            return
        except OSError:
            data, fds, flags = b"", [], 0
        if flags & socket.MSG_CTRUNC:
            for fd in fds:
                os.close(fd)
            self._fds.append((-1, -1))  # no descriptor was left for them
        elif fds:
            self._fds.append((fds[0], fds[1]))
        try:
            for message in self._reader.feed(data):
                self._received(message)
        except (FrameError, LookupError, TypeError, ValueError) as error:
            _logger.error("the zygote does not make sense: %r", error)
            data = b""
        if not data:
            self._zygote_gone()

    def _received(self, message: dict[str, Any]) -> None:
        if "forked" in message:
            self._forked(message)
        elif "ended" in message:
            self._ended(int(message["ended"]), int(message["status"]))
        elif "failed" in message:
            worker = self.by_slot.pop(message["failed"], None)
            if worker is not None:
                self._view.reap(worker.slot)
                self._on_failed(worker, message["reason"])
        elif "warning" in message:
            self._on_warning(message["warning"])

    def _forked(self, message: dict[str, Any]) -> None:
        fds = self._fds.pop(0)
        worker = self.by_slot.get(message["forked"])
        if worker is None or worker.pid:
            for fd in fds:
                if fd >= 0:
                    os.close(fd)
            raise ValueError(f"a worker in slot {message['forked']}, which nobody asked for")
        self._fruitless = 0
        worker.pid = int(message["pid"])
        self.by_pid[worker.pid] = worker
        self.name(worker, worker.name)
        if fds[0] >= 0:
            worker.pipes = WorkerPipes(fds, lambda stream, data: self._take_output(worker.pid, stream, data))
        else:
            _logger.warning("the output of worker %d is lost: too many open files", worker.pid)
        if worker.kill_cause is not None:
            self._signal(worker, signal.SIGKILL)
        elif worker.interrupted:
            self.interrupt(worker)

    def _take_output(self, pid: int, stream: Any, data: bytes) -> None:
        for message in self.pump.feed(pid, stream, data):
            self._on_output(message)
        held = self._held.pop((pid, stream), None)
        if held is not None:
            held.cancel()
        if self.pump.holds_text(pid, stream):
            loop = asyncio.get_running_loop()
            self._held[pid, stream] = loop.call_later(_LINE_PATIENCE_S, self._show_held, pid, stream)

    def _show_held(self, pid: int, stream: Any) -> None:
        del self._held[pid, stream]
        worker = self.by_pid.get(pid)
        if worker is not None and worker.pipes is not None:
            worker.pipes.drain()  # the rest may have come while the loop was busy
        if (pid, stream) not in self._held:
            for message in self.pump.take_text(pid, stream):
                self._on_output(message)

    def accelerators_of(self, slot: int) -> dict[str, list[int]]:
        """Ids of the devices that a worker's lease has."""
        worker = self.by_slot.get(slot)
        return worker.accelerators if worker is not None else {}

    def name(self, worker: WorkerProcess, name: str) -> None:
        """Say whose lines a worker prints; "" for none in particular."""
        worker.name = name
        if worker.pid:  # a worker may be up, and have an actor, before the zygote's report of its fork is read
            self.pump.set_worker(worker.pid, name, f"{worker.job:08x}")

    def drain(self, job: int | None = None) -> None:
        """Pass on what the workers (of one job) have written so far, lines without an end too."""
        for worker in list(self.by_pid.values()):
            if worker.pipes is not None and job in (None, worker.job):
                worker.pipes.drain()
                for message in self.pump.close(worker.pid):
                    self._on_output(message)
                self.name(worker, worker.name)

    def _zygote_gone(self) -> None:
        """The zygote has died, or sends what nobody can read: end it and what it forked, and start another one."""
        asyncio.get_running_loop().remove_reader(self._zygote.fileno())
        self._zygote.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.zygote_pid, signal.SIGKILL)
        descendants.wait_status(self.zygote_pid)
        for fd in (fd for pair in self._fds for fd in pair if fd >= 0):
            os.close(fd)
        self._fds.clear()
        self._reader = FrameReader()
        # The kernel kills its workers with it. Memory of theirs may only be taken back once they are certainly dead.
        lost = list(self.by_slot.values())
        for worker in lost:
            if worker.pid and worker.status is None:
                worker.kill_cause = worker.kill_cause or DeathCause.ZYGOTE_DIED
                self._signal(worker, signal.SIGKILL)
                self._ended(worker.pid, descendants.wait_status(worker.pid))
        descendants.end_all()
        self._fruitless += 1
        if self._fruitless <= _FRUITLESS_ZYGOTES:
            self._zygote, self.zygote_pid = self._start_zygote()
            self.start()
        else:
            self._on_zygote_death()
        for worker in lost:
            if not worker.pid:
                # It may have been forked, and at work, without the zygote having had the time to say so.
                worker.kill_cause = DeathCause.ZYGOTE_DIED
                self.by_slot.pop(worker.slot, None)
                self._on_end(worker, signal.SIGKILL)

    def _ended(self, pid: int, status: int) -> None:
        worker = self.by_pid.pop(pid, None)
        if worker is None:
            return  # an orphan of a worker, which the zygote inherited
        worker.status = status
        # Whatever the worker started goes with it: it has a process group of its own.
        if self._settings.get(KILL_CHILD_PROCESSES):
            trackers = descendants.end_group(pid)
            if trackers:
                asyncio.get_running_loop().call_later(descendants.TRACKER_S, descendants.end_trackers, trackers)
        asyncio.get_running_loop().call_soon(self._finish, worker, status)

    def _finish(self, worker: WorkerProcess, status: int) -> None:
        self.by_slot.pop(worker.slot, None)
        if worker.pipes is not None:
            worker.pipes.finish()
        for message in self.pump.close(worker.pid):
            self._on_output(message)
        self._on_end(worker, status)
        if worker.pid not in self.by_pid:  # the kernel may have given the number to another one by now
            self.pump.tail.forget(worker.pid)

    def tick(self) -> None:
        """Give up workers that do not come up."""
        patience_s = self._settings.get(WORKER_REGISTER_TIMEOUT_S)
        now = time.monotonic()
        for worker in list(self.by_slot.values()):
            if not worker.up and worker.kill_cause is None and now - worker.started > patience_s:
                limit = f"worker_register_timeout_seconds={patience_s}"
                self.kill(worker, DeathCause.NOT_REGISTERED, f"It did not report within {limit}.")

    # -- ending workers ------------------------------------------------------------------------------------------------

    def interrupt(self, worker: WorkerProcess) -> None:
        """Send the signal that makes a worker look at its task's cancel flag."""
        worker.interrupted = worker.pid == 0  # it runs, and the zygote's report of its fork is still to be read
        self._signal(worker, signal.SIGINT)

    def kill(self, worker: WorkerProcess, cause: DeathCause, detail: str = "") -> None:
        """End a worker at once; the first cause, with a sentence of detail, goes into the error of what it runs."""
        if worker.kill_cause is None:
            worker.kill_cause, worker.kill_detail = cause, detail
        if worker.end_elsewhere is not None:
            worker.end_elsewhere()
        else:
            self._signal(worker, signal.SIGKILL)

    def _signal(self, worker: WorkerProcess, number: int) -> None:
        # Until the zygote has reaped it, and the node has read that, the pid cannot belong to another process.
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
