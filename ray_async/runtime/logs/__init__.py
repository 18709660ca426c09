"""Output of workers, on its way to the driver's terminal.

worker's pipe → `LogPump` in the node (`LineSplitter` per stream, `StderrTail` for death reports) → JSON messages →
`LogSink` in the driver (`RecordJoiner`, `Deduplicator`, `Prefixer`) → sys.stdout and sys.stderr.

`log_setup` configures loggers, `driver_output` is the thread of the driver that prints, `progress` draws bars on the
terminal. All of the pipeline but the sink's last write is sans-I/O: bytes and messages in, lines and messages out,
clocks passed in.
A message is {"kind": "log", "pid": int, "name": str, "stream": "out" | "err", "lines": [str], "job": str | None}.
"""
