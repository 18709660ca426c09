"""Driver of the floors of Serve: the same handlers under uvicorn alone."""

from __future__ import annotations

import sys
from importlib.metadata import version

from bench.drivers import protocol
from bench.drivers.http_server import Command, Servers


def command(application: str) -> Command:
    """The command line of a server, from its port and its number of processes."""
    module = "bench.drivers.bare_apps"
    return lambda port, count: [sys.executable, "-m", module, application, str(port), str(count)]


if __name__ == "__main__":
    servers = Servers({f"bare_{name}": command(name) for name in ("echo", "pipeline", "balance", "stream")})
    protocol.serve(servers.cases(), version("uvicorn"), servers.close)
