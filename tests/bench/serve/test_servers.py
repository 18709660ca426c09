"""Servers that drivers start, one at a time."""

import http.client
import json
import sys

import pytest

from bench.drivers.http_server import Servers
from bench.drivers.serve_bare import command
from bench.serve.subjects.pipeline import BODY


def ask(port: int, method: str, body: str = "") -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, "/", body)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_the_bare_handlers_answer() -> None:
    servers = Servers({name: command(name) for name in ("echo", "pipeline", "balance")})
    cases = servers.cases()
    try:
        port = int(cases["echo"]({})["port"])
        assert cases["echo"]({}) == {"port": port}
        assert ask(port, "GET") == b"hello"
        port = int(cases["pipeline"]({})["port"])
        assert json.loads(ask(port, "POST", BODY["body"])) == {"label": "POSITIVE", "score": 0.99}
        port = int(cases["balance"]({"replicas": 2})["port"])
        assert ask(port, "GET") == b"done"
    finally:
        servers.close()


def test_a_server_that_cannot_start_is_an_error() -> None:
    servers = Servers({"broken": lambda port, count: [sys.executable, "-c", "raise SystemExit(3)"]})
    with pytest.raises(RuntimeError, match="ended with 3"):
        servers.cases()["broken"]({})
    servers.close()
