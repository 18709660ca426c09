"""What workers print, on its way to the driver's terminal.

worker's pipe → `LogPump` in the node (`LineSplitter` per stream, `StderrTail` for death reports) → JSON messages →
`LogSink` in the driver (`RecordJoiner`, `Deduplicator`, `Prefixer`) → sys.stdout and sys.stderr.

Everything but the sink's last write is sans-I/O: bytes and messages in, lines and messages out, clocks passed in.
A message is {"kind": "log", "pid": int, "name": str, "stream": "out" | "err", "lines": [str], "job": str | None}.
"""

from ray_async.runtime.logs.deduplicator import Deduplicator
from ray_async.runtime.logs.joiner import RecordJoiner
from ray_async.runtime.logs.line import LogLine
from ray_async.runtime.logs.lines import LineSplitter
from ray_async.runtime.logs.prefix import Prefixer
from ray_async.runtime.logs.pump import LogPump
from ray_async.runtime.logs.sink import LogSink, ProgressBars
from ray_async.runtime.logs.stderr_tail import StderrTail

__all__ = (
    "Deduplicator",
    "LineSplitter",
    "LogLine",
    "LogPump",
    "LogSink",
    "Prefixer",
    "ProgressBars",
    "RecordJoiner",
    "StderrTail",
)
