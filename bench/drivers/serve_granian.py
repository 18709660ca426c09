"""Driver of Granian: the plain ASGI applications under its server."""

from __future__ import annotations

import sys
from importlib.metadata import version

from bench.drivers import protocol
from bench.drivers.http_server import Command, Servers


def command(application: str) -> Command:
    """The command line of a server, from its port and its number of processes."""
    options = ["--interface", "asgi", "--loop", "uvloop", "--no-ws", "--log-level", "error", "--no-access-log"]
    target = f"bench.drivers.bare_apps:{application}"

    def line(port: int, count: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(count)]
        return [sys.executable, "-m", "granian", *options, *where, target]

    return line


if __name__ == "__main__":
    servers = Servers({name: command(name) for name in ("echo", "pipeline", "stream")})
    protocol.serve(servers.cases(), version("granian"), servers.close)
