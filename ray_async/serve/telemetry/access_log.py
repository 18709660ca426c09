"""The access log of a process: a line for each request, and the records of its loggers."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from ray_async.serve.telemetry.line_format import LineFormatter, Origin, access_lines, json_access_lines
from ray_async.serve.telemetry.log_file import LogFile
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig

__all__ = ("LOGGERS", "AccessLog")

# That of the package, and that which programs written for Ray take.
LOGGERS = ("ray_async.serve", "ray.serve")


class AccessLog:
    """Writes lines of requests, and what the process's loggers of Serve say, to one file.

    Args:
        source: What the process is.
        config: How to log.
        folder: Where files lie, unless the configuration names another folder.
        process: The name of a process that is no replica.
    """

    def __init__(self, source: Origin, config: ServeLoggingConfig, folder: Path, process: str = "controller") -> None:
        self._source = source
        self._folder = folder
        self._process = process
        self._handler: _Handler | None = None
        self._file: LogFile
        self._formatter: LineFormatter | None
        self.config = config
        self._open()

    def _open(self) -> None:
        config, source = self.config, self._source
        name = f"replica_{source.component}_{source.replica}.log" if source.replica else f"{self._process}.log"
        folder = self._folder if config.logs_dir is None else Path(config.logs_dir)
        render = json_access_lines if config.encoding == "JSON" else access_lines
        self._file = LogFile(folder / name.replace("/", "_"), render=render)
        self._add = self._file.add
        formatter = LineFormatter(source, config.encoding, config.additional_log_standard_attrs)
        self._formatter = formatter if config.additional_log_standard_attrs else None
        self._handler = _Handler(self._file, formatter)
        for logger in map(logging.getLogger, LOGGERS):
            logger.addHandler(self._handler)
            logger.setLevel(config.level)

    def configure(self, config: ServeLoggingConfig) -> None:
        """Log in another way from now on."""
        if config != self.config:
            self.close()
            self.config = config
            self._open()

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def add(
        self,
        source: Origin,
        request_id: str,
        method: str,
        route: str,
        status: int | str,
        began: float,
        ended: float,
    ) -> None:
        """Write the line of a request, soon: it is formatted with others.

        Args:
            source: The replica that has run it; without a replica's id, none has.
            request_id: Its id.
            method: The HTTP method, or the method that was called.
            route: The route's template, or the route by which the caller's request came.
            status: The status, or "OK", "ERROR" or "CANCELLED".
            began: When it has begun, by `time.perf_counter`.
            ended: When it has ended, likewise.
        """
        if self._formatter is None:
            self._add((source, request_id, method, route, status, began, ended))
            return
        latency_ms = (ended - began) * 1000
        facts = {"request_id": request_id, "route": route, "method": method, "status": str(status)}
        record = logging.LogRecord(
            LOGGERS[0], logging.INFO, __file__, 0, f"{method} {route} {status} {latency_ms:.1f}ms", (), None
        )
        record.serve_facts = {**facts, "latency_ms": round(latency_ms, 3), "source": source}
        self._file.add(f"{self._formatter.format(record)}\n")

    def flush(self) -> None:
        """Write what waits."""
        self._file.flush()

    def close(self) -> None:
        """Write what waits, and let go of the loggers."""
        if self._handler is not None:
            for logger in map(logging.getLogger, LOGGERS):
                logger.removeHandler(self._handler)
            self._handler = None
        self._file.close()


class _Handler(logging.Handler):
    """Writes records to the file, and to the standard error where nobody else writes them."""

    def __init__(self, file: LogFile, formatter: LineFormatter) -> None:
        super().__init__()
        self._file = file
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n"
            self._file.write(line)
            if not self._is_seen_elsewhere(record.name):
                sys.stderr.write(line)
        except Exception:  # as every handler of `logging` does: a record must not end a request
            self.handleError(record)

    def _is_seen_elsewhere(self, name: str) -> bool:
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False
