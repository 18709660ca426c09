"""The node's side: what comes out of workers' pipes becomes messages for drivers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from ray_async.runtime.logs.lines import LineSplitter
from ray_async.runtime.logs.marks import MarkReader
from ray_async.runtime.logs.stderr_tail import StderrTail

__all__ = ("LogPump",)

Stream = Literal["out", "err"]
Message = dict[str, Any]


class _Worker:
    __slots__ = ("job", "marks", "name", "names", "splitters")

    def __init__(self, name: str, job: str | None) -> None:
        self.name = name
        self.job = job
        self.splitters: dict[Stream, LineSplitter] = {"out": LineSplitter(), "err": LineSplitter()}
        self.marks: dict[Stream, MarkReader] = {"out": MarkReader(), "err": MarkReader()}
        self.names: dict[Stream, str] = {}


class LogPump:
    """Splits the streams of all workers of a node into lines and addresses them.

    The node's loop reads the pipes and calls `feed`; it calls `take_progress` about once a second, so that progress
    bars are seen while they run.

    Args:
        tail: where the last lines of stderr are kept; a new one by default.
    """

    def __init__(self, tail: StderrTail | None = None) -> None:
        self.tail = StderrTail() if tail is None else tail
        self._workers: dict[int, _Worker] = {}

    def set_worker(self, pid: int, name: str, job: str | None) -> None:
        """Say what runs in a process: the name of its task or actor, and the job (in hexadecimal) that it works for."""
        worker = self._workers.get(pid)
        if worker is None:
            self._workers[pid] = _Worker(name, job)
        else:
            worker.name, worker.job = name, job
            worker.names.clear()

    def feed(self, pid: int, stream: Stream, data: bytes) -> list[Message]:
        """Take bytes of a worker's stream; return a message for each task whose lines they complete."""
        worker = self._workers.setdefault(pid, _Worker("", None))
        return self._feed(pid, worker, stream, worker.marks[stream].feed(data))

    def _feed(self, pid: int, worker: _Worker, stream: Stream, pieces: list[tuple[str | None, bytes]]) -> list[Message]:
        messages = []
        for name, text in pieces:
            if name is not None:
                worker.names[stream] = name
            message = self._message(pid, worker, stream, worker.splitters[stream].feed(text)) if text else None
            if message is not None:
                messages.append(message)
        return messages

    def take_progress(self) -> Iterator[Message]:
        """Yield messages with the state of progress bars that are being drawn."""
        for pid, worker in self._workers.items():
            for stream, splitter in worker.splitters.items():
                message = self._message(pid, worker, stream, splitter.take_progress())
                if message is not None:
                    yield message

    def holds_text(self, pid: int, stream: Stream) -> bool:
        """Whether a stream has begun a line and not ended it."""
        worker = self._workers.get(pid)
        return worker is not None and worker.splitters[stream].holds_text()

    def take_text(self, pid: int, stream: Stream) -> list[Message]:
        """Return a message with the line that a stream has begun, if its end does not come."""
        worker = self._workers.get(pid)
        if worker is None:
            return []
        message = self._message(pid, worker, stream, worker.splitters[stream].take_text())
        return [message] if message is not None else []

    def close(self, pid: int) -> list[Message]:
        """End the streams of a process; return messages with what they still held. Its tail of stderr is kept."""
        worker = self._workers.pop(pid, None)
        if worker is None:
            return []
        messages: list[Message] = []
        for stream, splitter in worker.splitters.items():
            messages += self._feed(pid, worker, stream, [(None, worker.marks[stream].flush())])
            last = self._message(pid, worker, stream, splitter.flush())
            messages += [last] if last is not None else []
        return messages

    def _message(self, pid: int, worker: _Worker, stream: Stream, lines: list[str]) -> Message | None:
        if not lines:
            return None
        if stream == "err":
            self.tail.add(pid, lines)
        return {
            "kind": "log",
            "pid": pid,
            "name": worker.names.get(stream) or worker.name,
            "stream": stream,
            "lines": lines,
            "job": worker.job,
        }
