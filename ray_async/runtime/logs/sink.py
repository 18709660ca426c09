"""The driver's side: workers' lines on the driver's own stdout and stderr."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TextIO

from ray_async.config import LOG_TO_DRIVER, Settings
from ray_async.runtime.logs.deduplicator import Deduplicator
from ray_async.runtime.logs.joiner import RecordJoiner
from ray_async.runtime.logs.line import LogLine
from ray_async.runtime.logs.prefix import Prefixer

__all__ = ("LogSink", "ProgressBars")


class ProgressBars(Protocol):
    """What draws workers' progress bars below the lines."""

    def process(self, line: str) -> bool:
        """Draw what the line says; False if it says nothing about a bar."""

    def hide(self) -> None:
        """Take the bars off the screen, to print above them."""

    def unhide(self) -> None:
        """Draw the bars again."""


class LogSink:
    """Prints workers' lines; may be called from any thread.

    The streams are looked up at each print, since notebooks, test runners and `contextlib.redirect_stdout` exchange
    them.

    Args:
        log_to_driver: whether anything is printed at all. Progress bars count as output too.
        deduplicator: holds repetitions back; as the environment asks by default.
        prefixer: names the worker; as the environment and the terminal ask by default.
        bars: draws progress bars.
        own_ip: the address of this machine, which prefixes leave out.
        joiner: keeps lines that belong together in one record.
    """

    def __init__(
        self,
        log_to_driver: bool = True,
        deduplicator: Deduplicator | None = None,
        prefixer: Prefixer | None = None,
        bars: ProgressBars | None = None,
        own_ip: str | None = None,
        joiner: RecordJoiner | None = None,
    ) -> None:
        self._log_to_driver = log_to_driver and Settings().get(LOG_TO_DRIVER)
        self._deduplicator = deduplicator or Deduplicator.from_environ()
        self._joiner = joiner or RecordJoiner()
        self._prefixer = prefixer
        self._bars = bars
        self._own_ip = own_ip
        # Re-entrant: a signal handler of the user may print through the sink while it prints.
        self._lock = threading.RLock()

    def handle(self, message: Mapping[str, Any]) -> None:
        """Print the lines of one message of the node."""
        ip = message.get("ip")
        source = str(message["name"]), int(message["pid"]), str(message["stream"]), None if ip == self._own_ip else ip
        self._feed(source, message["lines"])

    def __call__(self, pid: int, name: str, stream: str, line: str) -> None:
        """Print one line that a worker of this machine wrote to "out" or "err"."""
        self._feed((name, pid, stream, None), (line,))

    def tick(self) -> None:
        """Print summaries of repetitions whose time is over; to be called about once a second."""
        with self._lock:
            self._print([*self._deduplicated(self._joiner.expire()), *self._deduplicator.expire()])

    @property
    def holds_back(self) -> bool:
        """Whether a later `tick` will have something to print."""
        with self._lock:
            return self._deduplicator.next_deadline() is not None or self._joiner.next_deadline() is not None

    def close(self) -> None:
        """Print what is held back."""
        with self._lock:
            self._print([*self._deduplicated(self._joiner.flush()), *self._deduplicator.flush()])

    def _feed(self, source: tuple[str, int, str, str | None], lines: Iterable[str]) -> None:
        if not self._log_to_driver:
            return
        name, pid, stream, ip = source
        with self._lock:
            plain = [line for line in lines if self._bars is None or not self._bars.process(line)]
            records = self._joiner.feed(LogLine(line, name, pid, stream, ip) for line in plain)
            self._print(self._deduplicated(records))

    def _deduplicated(self, records: list[LogLine]) -> list[LogLine]:
        return [line for record in records for line in self._deduplicator.feed(record)]

    def _print(self, lines: list[LogLine]) -> None:
        if not lines:
            return
        if self._bars is not None:
            self._bars.hide()
        try:
            for line in lines:
                stream = sys.stderr if line.stream == "err" else sys.stdout
                if stream is not None:  # a program without a console has none
                    self._write(stream, line)
        finally:
            if self._bars is not None:
                self._bars.unhide()

    def _write(self, stream: TextIO, line: LogLine) -> None:
        prefixer = self._prefixer or Prefixer.from_environ(_shows_color(stream))
        text = "".join(prefixer(part, line.name, line.pid, line.ip) + "\n" for part in line.text.split("\n"))
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (ValueError, BrokenPipeError):
            self._log_to_driver = False  # closed: the program is ending, or its reader has gone
            return
        stream.flush()


def _shows_color(stream: TextIO) -> bool:
    if type(stream).__module__.startswith("ipykernel"):
        return True
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
