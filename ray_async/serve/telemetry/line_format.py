"""The format of log lines: of requests and of records, as text or JSON."""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii
from time import perf_counter
from typing import Any

from ray_async.serve.context import current_request
from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("LineFormatter", "Origin", "Told", "access_lines", "json_access_lines", "one_word", "stamp")

_LONGEST_ID = 200  # characters of a client's request id that are written
_last = (-1, "")  # a second, and its text
_MILLISECONDS = tuple(f",{number:03d}" for number in range(1000))
_TENTHS = tuple(f"{number // 10}.{number % 10}" for number in range(1000))  # to format a float takes longer


@dataclass(frozen=True)
class Origin:
    """Where lines come from.

    Args:
        application: The application; empty where there is none.
        deployment: The deployment; empty where there is none.
        replica: The replica's id; empty where there is none.
    """

    application: str = ""
    deployment: str = ""
    replica: str = ""

    @functools.cached_property
    def component(self) -> str:
        """Application and deployment, as one word."""
        return f"{self.application}_{self.deployment}" if self.deployment else "-"

    @functools.cached_property
    def words(self) -> str:
        """All of it, as lines of text have it."""
        return f"{self.component} {self.replica or '-'}"


def stamp(now: float) -> str:
    """The local time, to the millisecond."""
    global _last
    second = int(now)
    last = _last
    if second != last[0]:
        last = _last = (second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second)))
    return last[1] + _MILLISECONDS[int((now - second) * 1000)]


def one_word(text: str) -> str:
    """What a client has sent, in such a way that it looks like nothing else of its line."""
    if len(text) > _LONGEST_ID:
        text = text[:_LONGEST_ID]
    return text if text.isprintable() and " " not in text else json.dumps(text)


# A request that is over: where it ran, its id, method, route and status; when it began and ended, by `perf_counter`.
Told = tuple[Origin, str, str, str, int | str, float, float]


def _json_head(source: Origin, method: str, route: str, status: int | str) -> str:
    """What lines of alike requests have in common."""
    fixed = {
        "levelname": "INFO",
        "message": f"{method} {route} {status}",
        "route": route,
        "method": method,
        "status": str(status),
        "application": source.application,
        "deployment": source.deployment,
        "replica": source.replica,
    }
    return json.dumps(fixed)[1:-1]


def access_lines(requests: Iterable[Told]) -> list[str]:
    """The lines of requests, as text."""
    lines = []
    to_time = time.time() - perf_counter()
    last, text = -1, ""
    for source, request_id, method, route, status, began, ended in requests:
        moment = int((ended + to_time) * 1000)
        if moment != last:
            last, text = moment, stamp(ended + to_time)
        if len(request_id) > _LONGEST_ID or " " in request_id or not request_id.isprintable():
            request_id = one_word(request_id)
        tenths = int((ended - began) * 10000 + 0.5)
        took = _TENTHS[tenths] if tenths < 1000 else f"{tenths / 10:.1f}"
        lines.append(f"INFO {text} {source.words} {request_id} -- {method} {route} {status} {took}ms\n")
    return lines


def json_access_lines(requests: Iterable[Told]) -> list[str]:
    """The lines of requests, as JSON."""
    lines = []
    to_time = time.time() - perf_counter()
    last, text = -1, ""
    alike: tuple[Origin, str, str, int | str] | None = None
    head = ""
    for source, request_id, method, route, status, began, ended in requests:
        now = ended + to_time
        moment = int(now * 1000)
        if moment != last:
            last, text = moment, stamp(now)
        kind = (source, method, route, status)
        if kind != alike:
            alike, head = kind, _json_head(*kind)
        lines.append(
            f'{{"asctime": "{text}", {head}, "request_id": {encode_basestring_ascii(request_id[:_LONGEST_ID])}, '
            f'"latency_ms": {(ended - began) * 1000:.3f}, "timestamp_ns": {int(now * 1e9)}}}\n'
        )
    return lines


class LineFormatter(logging.Formatter):
    """Formats the records of loggers, with the request that runs.

    Args:
        source: Where they come from.
        encoding: "TEXT" or "JSON".
        attributes: Attributes of records that are added.
    """

    def __init__(self, source: Origin, encoding: str, attributes: Sequence[str] = ()) -> None:
        super().__init__()
        self._source = source
        self._is_json = encoding == "JSON"
        self._attributes = tuple(attributes)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a traceback has lines of its own, but for JSON."""
        record.message, record.asctime = record.getMessage(), stamp(record.created)
        facts = dict(getattr(record, "serve_facts", ()) or self._request_facts())
        added = {name: getattr(record, name, None) for name in self._attributes}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._is_json:
            return self._as_json(record, facts, added, trace)
        where = "--" if hasattr(record, "serve_facts") else f"{record.filename}:{record.lineno} -"
        source = facts.get("source", self._source)
        words = [record.levelname, record.asctime, source.words]
        words += [one_word(facts["request_id"] or "-"), where, record.message]
        words += [f"{name}={value}" for name, value in added.items()]
        return "\n".join(part for part in (" ".join(words), trace) if part)

    def _request_facts(self) -> dict[str, Any]:
        request = current_request.get()
        if request is None:
            return {"request_id": ""}
        return {"request_id": request.request_id, "route": request.route}

    def _as_json(self, record: logging.LogRecord, facts: dict[str, Any], added: dict[str, Any], trace: str) -> str:
        source = facts.pop("source", self._source)
        line: dict[str, Any] = {"asctime": record.asctime, "levelname": record.levelname, "message": record.message}
        if not hasattr(record, "serve_facts"):
            line |= {"filename": record.filename, "lineno": record.lineno}
        line |= facts
        line |= {"application": source.application, "deployment": source.deployment, "replica": source.replica}
        line |= {"timestamp_ns": int(record.created * 1e9), **added}
        if trace:
            line["exc_text"] = trace
        return json.dumps(line, default=str)
