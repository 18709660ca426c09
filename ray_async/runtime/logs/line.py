"""`LogLine`, a line of a worker's output, or several that belong together."""

from __future__ import annotations

from ray_async.frozen import Record

__all__ = ("LogLine",)


class LogLine(Record):
    """A line, and who printed it. Lines that belong together are one, with newlines in its text."""

    text: str
    name: str
    pid: int
    stream: str
    ip: str | None = None

    @property
    def source(self) -> tuple[str | None, int]:
        """The process that printed it."""
        return self.ip, self.pid
