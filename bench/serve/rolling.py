"""Rolling updates and scaling down under full load, for as many requests as are wanted; not one may fail.

    python -m bench.serve.rolling --requests 100000

New versions of three replicas are deployed and scaled to one and back without a pause, while wrk keeps its connections
full. The exit status is 1 when a request has failed.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.drivers import serve_deployments
from bench.drivers.http_server import free_port
from bench.run import positive, say
from bench.serve.wrk import Load, LoadError, Process, find_wrk

__all__ = ("Updates", "main", "send_until")

REQUESTS = 100_000
CONNECTIONS = 32
STRETCH_S = 10
REPLICAS = (3, 1, 3)


class Updates(threading.Thread):
    """Deploys other versions and scales them, until `stop`.

    Args:
        deploy: Deploys a version with a number of replicas.

    Attributes:
        deploys: How many deploys are done.
        error: What has failed, if something has.
    """

    def __init__(self, deploy: Callable[[int, int], None]) -> None:
        super().__init__(name="updates", daemon=True)
        self.deploys = 0
        self.error: Exception | None = None
        self._deploy = deploy
        self._stopped = threading.Event()

    def run(self) -> None:
        """Deploy without a pause."""
        version = 0
        while not self._stopped.is_set() and self.error is None:
            version += 1
            try:
                for replicas in REPLICAS:
                    self._deploy(version, replicas)
                    self.deploys += 1
            except Exception as error:
                self.error = error

    def stop(self) -> None:
        """Stop after the deploy that goes on, and wait for its end.

        Raises:
            Exception: What a deploy has failed with.
        """
        self._stopped.set()
        self.join()
        if self.error is not None:
            raise self.error


def send_until(wanted: int, stretch: Callable[[], dict[str, float]]) -> tuple[float, float]:
    """Send stretches of load until there were as many requests as wanted; gives requests and failures.

    Args:
        wanted: How many requests there are to be.
        stretch: Sends one stretch, and gives what `wrk.parse` does.
    """
    requests = failed = 0.0
    while requests < wanted:
        found = stretch()
        requests, failed = requests + found["requests"], failed + found["failed"]
        say(f"{requests:.0f} requests, {failed:.0f} failed; p99 {found['p99'] * 1e3:.0f} ms")
    return requests, failed


def run(wanted: int, stretch_s: int) -> int:
    """Do it all; gives the exit status."""
    import ray_async as ray
    from ray_async import serve

    port = free_port()

    def deploy(version: int, replicas: int) -> None:
        application: Any = serve_deployments.echo(serve, num_replicas=replicas).bind(version)
        serve.run(application)

    serve.start({"port": port})
    deploy(0, REPLICAS[0])
    updates = Updates(deploy)
    updates.start()
    begin = time.monotonic()
    try:
        requests, failed = send_until(wanted, lambda: Process(port, Load(CONNECTIONS, stretch_s)).result())
    finally:
        updates.stop()
        serve.shutdown()
        ray.shutdown()
    seconds = time.monotonic() - begin
    say(f"{requests:.0f} requests in {seconds:.0f} s during {updates.deploys} deploys: {failed:.0f} failed")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve.rolling", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=positive, default=REQUESTS, help=f"at least so many (default {REQUESTS})")
    parser.add_argument("--stretch", type=positive, default=STRETCH_S, help="seconds of each run of wrk")
    options = parser.parse_args(arguments)
    if find_wrk() is None:
        say("bench.serve.rolling: wrk is not installed: apt-get install wrk")
        return 2
    try:
        return run(options.requests, options.stretch)
    except LoadError as error:
        say(f"bench.serve.rolling: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
