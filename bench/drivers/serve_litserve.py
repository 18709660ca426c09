"""Driver of LitServe, whose handlers take JSON by POST.

Run as a program with arguments it serves one case: `python -m bench.drivers.serve_litserve CASE PORT`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version

from bench.drivers import protocol
from bench.drivers.http_server import Command, Servers


def command(case: str) -> Command:
    """The command line of a server, from its port; LitServe has one worker here."""
    return lambda port, count: [sys.executable, "-m", "bench.drivers.serve_litserve", case, str(port)]


def serve(case: str, port: int) -> None:
    """Serve until a signal comes."""
    import litserve

    from bench.drivers import litserve_models

    model = litserve_models.Echo if case == "echo" else litserve_models.Pipeline
    server = litserve.LitServer(model(api_path="/predict"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        servers = Servers({name: command(name) for name in ("echo", "pipeline")})
        protocol.serve(servers.cases(), version("litserve"), servers.close)
