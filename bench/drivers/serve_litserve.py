"""Driver of LitServe, whose handlers take JSON by POST.

Run as a program with arguments it serves one case: `python -m bench.drivers.serve_litserve CASE PORT`.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from bench.drivers import protocol, serve_work
from bench.drivers.http_server import Command, Servers


def command(case: str) -> Command:
    """The command line of a server, from its port; LitServe has one worker here."""
    return lambda port, count: [sys.executable, "-m", "bench.drivers.serve_litserve", case, str(port)]


def serve(case: str, port: int) -> None:
    """Serve until a signal comes."""
    import litserve

    class Model(litserve.LitAPI):  # type: ignore[misc]
        def setup(self, device: str) -> None:
            self.answer = serve_work.classify

        def decode_request(self, request: dict[str, Any]) -> Any:
            return request if case == "echo" else serve_work.preprocess(request["text"])

        def predict(self, value: Any) -> Any:
            return "hello" if case == "echo" else self.answer(value)

        def encode_response(self, output: Any) -> Any:
            return {"output": output} if case == "echo" else output

    server = litserve.LitServer(Model(api_path="/predict"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve(sys.argv[1], int(sys.argv[2]))
    else:
        servers = Servers({name: command(name) for name in ("echo", "pipeline")})
        protocol.serve(servers.cases(), version("litserve"), servers.close)
