"""Every state of the arena on a process's way through a call, instruction by instruction, as if it was killed there."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray_async._core import codec, store
from ray_async._core.arena import Arena, set_current
from ray_async._core.constants import RecordState
from ray_async._core.execution import Executor
from ray_async._core.node_view import NodeView
from ray_async._core.object_ref import load_ref
from ray_async._core.record_view import RecordView
from tests.core.session import NODE, WORKER

__all__ = ("Stepper",)

_TRACE_ME, _SINGLE_STEP = 0, 9
WAITING, RUNNING = RecordState.WAITING, RecordState.RUNNING

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long] * 4
_libc.ptrace.restype = ctypes.c_long
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]

_SUPER = struct.Struct("<QII16sQQQQQQQQ")  # of its last words: the process table, ..., the chunk table, the first chunk
_PROCESSES = 16 * 128  # bytes of the process table that are looked at
_CLASSES = 16 * 64  # of the class table
_BUCKETS_BEHIND, _BUCKETS = 4096 * 64, 256 * 8


def _ptrace(request: int, pid: int = 0) -> None:
    if _libc.ptrace(request, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this machine does not let a process trace its child")


class Stepper:
    """Runs something in a child, and takes the child's part back in a copy of each state of the memory on the way.

    Args:
        arena: joined by the test.
        directory: the session's.
        queue: whose records are run once the child's part is taken back.
        entries: objects whose counts are looked at.
        results: pickled references that the test has, each the only one; given back, too.
    """

    def __init__(self, arena: Arena, directory: Path, queue: int, entries: list[int], results: list[Any]) -> None:
        self._arena = arena
        self._directory = directory
        self._queue = queue
        self._entries = entries
        self._results = results
        self._slot = 0
        self._memory = mmap.mmap(arena.fd, arena.size)
        processes, _, classes, _, chunks, _ = _SUPER.unpack_from(self._memory, 0)[-6:]
        #: Where what a call changes lies, and its bytes when they were last looked at.
        self._places = [
            (0, processes + _PROCESSES),
            (classes, _CLASSES),
            (classes + _BUCKETS_BEHIND, _BUCKETS),
            (chunks, arena.size - chunks),
        ]
        self._seen: list[bytes] = []

    def outcomes(self, prepare: Callable[[], Callable[[], object]]) -> list[tuple[int, tuple[int, ...]]]:
        """Bytes in use and counts of the objects, for a kill before the call and after each change that it makes.

        Args:
            prepare: called in the child once it has joined; gives the call that is looked at.
        """
        self._slot = self._arena.reserve(WORKER)
        pid = os.fork()
        if pid == 0:
            self._be_child(prepare)
        try:
            self._wait(pid)
            found = []
            while True:
                if self._changed():
                    found.append(self._taken_back())
                _ptrace(_SINGLE_STEP, pid)
                if self._wait(pid) == signal.SIGSTOP:
                    return found
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            codec.forget_encoder()

    def _be_child(self, prepare: Callable[[], Callable[[], object]]) -> None:
        try:
            self._arena.join(WORKER, slot=self._slot)
            call = prepare()
            _ptrace(_TRACE_ME)
            os.kill(os.getpid(), signal.SIGSTOP)
            result = call()
            os.kill(os.getpid(), signal.SIGSTOP)
            del result
        finally:
            os._exit(1)

    def _wait(self, pid: int) -> int:
        status = os.waitpid(pid, 0)[1]
        assert os.WIFSTOPPED(status), f"the child has ended: {status}"
        return os.WSTOPSIG(status)

    def _changed(self) -> bool:
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        if self._seen and not any(
            _libc.memcmp(address + start, seen, len(seen))
            for (start, _), seen in zip(self._places, self._seen, strict=True)
        ):
            return False
        self._seen = [self._memory[start : start + size] for start, size in self._places]
        return True

    def _taken_back(self) -> tuple[int, tuple[int, ...]]:
        """What is left once a node has taken the child's part back in a copy of the memory, and all tasks have run."""
        fd = os.memfd_create("copy", os.MFD_CLOEXEC)
        os.truncate(fd, self._arena.size)
        os.pwrite(fd, self._memory[:], 0)
        copy = Arena.attach(fd, str(self._directory))
        copy.join(NODE)
        node, records, executor = NodeView(copy, 0), RecordView(copy), Executor(copy, None, None)
        node.down()
        for record in records.find_records(state=RUNNING, runner=self._slot):
            if records.outcome(record):
                records.finish(record, self._slot)
            else:
                records.repair(record, self._slot)
                executor.requeue(record, 0)
        node.reap(self._slot)
        for record in records.find_records(state=WAITING):
            records.release(record)
        while record := executor.pop(self._queue):
            if executor.facts(record)["cancelled"]:  # a stream whose reader was the killed process
                executor.fail(record, b"cancelled")
            elif executor.facts(record)["stream"]:
                executor.end_stream(record)
            else:
                executor.succeed(record, [None] * executor.facts(record)["n_returns"])
        assert not records.find_records(state=RUNNING, runner=self._slot)
        for number, _ in node.unused_classes():
            assert node.close_class(number) and node.end_class(number)
        node.mend_used()
        node.mend_used()
        for offset, *rest in self._results:
            self._give_back(fd, offset, rest, copy)
        copy.trim()
        with mmap.mmap(fd, copy.size) as memory:
            counts = tuple(int.from_bytes(memory[entry + 8 : entry + 12], "little") for entry in self._entries)
        used = int(copy.used)
        assert self._taken_chunks(fd) << 16 == used, "chunks that nobody counts and nobody gives back"
        copy.close()
        return used, counts

    def _taken_chunks(self, fd: int) -> int:
        """How many chunks are not free, in the whole table."""
        n_chunks, chunks = struct.unpack_from("<I", self._memory, 12)[0], self._places[-1][0]
        with mmap.mmap(fd, self._arena.size) as memory:
            return sum(memory[chunks + 128 * i] != 0 for i in range(n_chunks))

    def _give_back(self, fd: int, entry: int, rest: list[Any], copy: Arena) -> None:
        """Give back the test's reference, and the pickle's: one of the copy's own takes their place, and goes."""
        set_current(copy)
        ref = load_ref(entry, *rest)
        assert store.is_ready(copy, ref), "a result that nobody makes"
        with mmap.mmap(fd, copy.size) as memory:
            count = int.from_bytes(memory[entry + 8 : entry + 12], "little")
            memory[entry + 8 : entry + 12] = (count - 2).to_bytes(4, "little")
        del ref
        set_current(self._arena)
