"""What a program loads with Serve."""

import subprocess
import sys

# Of an HTTP server and its applications, of configuration files and of metrics: what replicas and commands need.
NOT_NEEDED = (
    "starlette",
    "uvicorn",
    "httptools",
    "websockets",
    "click",
    "anyio",
    "pydantic",
    "yaml",
    "prometheus_client",
)
PROGRAM = """
import sys
import ray_async.serve
assert "ray_async.serve.controller.actor" not in sys.modules
assert "ray_async.util.state" not in sys.modules
from ray_async.serve.controller.actor import Controller
print(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:])))
"""


def test_drivers_and_the_controller_load_no_server() -> None:
    command = [sys.executable, "-c", PROGRAM, *NOT_NEEDED]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
