"""Flatness: minutes of full load with clients that leave, handlers that raise, and redeploys; what grows meanwhile.

    python -m bench.serve.flat --minutes 10

Two applications: one is never changed and gets the load, the other is deployed anew in every stretch. After each
stretch, with the load away, replica, controller and driver are looked at. The exit status is 1 when something has
grown, or a request of the load has failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import socket
import statistics
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.drivers import processes
from bench.drivers.http_server import free_port
from bench.run import positive, say
from bench.serve.wrk import Load, LoadError, Process, find_wrk

__all__ = ("ALLOWED", "Sample", "grown", "main")

STRETCH_S = 10
WARM_STRETCHES = 3
CONNECTIONS = 32
# What a process may have more in the last third than in the first: memory that allocators keep, a descriptor in use.
ALLOWED = {"private_mb": 5.0, "descriptors": 4.0, "threads": 2.0, "tasks": 4.0}


@dataclass(frozen=True)
class Sample:
    """What the processes of a role hold, each at rest.

    Args:
        private_mb: Private memory in MB.
        descriptors: Open descriptors.
        threads: Threads.
        tasks: asyncio's tasks, where they can be asked for.
    """

    private_mb: float
    descriptors: float
    threads: float
    tasks: float = 0.0


def grown(samples: Sequence[Mapping[str, Sample]]) -> list[str]:
    """What has grown from the first third of a run to the last, by more than is allowed; medians are compared.

    Args:
        samples: For each stretch, the sample of each role.
    """
    third = len(samples) // 3
    if not third:
        return []
    found = []
    for role in samples[0]:
        for name, allowed in ALLOWED.items():
            values = [asdict(stretch[role])[name] for stretch in samples if role in stretch]
            before, after = statistics.median(values[:third]), statistics.median(values[-third:])
            if after - before > allowed:
                found.append(f"{role}: {name} from {before:g} to {after:g}")
    return found


def deployment(serve: Any) -> Any:
    """What is deployed: answers, raises and waits, as it is asked."""

    class Steady:
        def __init__(self, version: int) -> None:
            self.version = version

        async def __call__(self, request: Any) -> str:
            if "fail" in request.query_params:
                raise ValueError("as asked")
            if "wait" in request.query_params:
                await asyncio.sleep(60)
            return "hello"

        async def look(self) -> tuple[int, int]:
            gc.collect()
            return os.getpid(), len(asyncio.all_tasks())

    return serve.deployment(max_ongoing_requests=1000)(Steady)


class Nuisance(threading.Thread):
    """Clients that leave before their answer, and requests whose handler raises, until `stop`."""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(name="nuisance", daemon=True)
        self.sent = 0
        self._port = port
        self._random = random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        """Send, at some two hundred a second."""
        while not self._stopped.wait(0.005):
            path = self._random.choice(("/?fail=1", "/?wait=1", "/", "/nowhere"))
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 10) as connection:
                head = f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
                connection.sendall(head[: self._random.randint(1, len(head))])
                self.sent += 1
                if "wait" not in path and self._random.random() < 0.5:
                    connection.settimeout(0.2)
                    connection.recv(100)

    def stop(self) -> None:
        """Stop, and wait for the end."""
        self._stopped.set()
        self.join(20)


def look(roles: Mapping[str, int], tasks: Mapping[str, int]) -> dict[str, Sample]:
    """A sample of each role's process."""
    return {
        role: Sample(
            processes.private_bytes(pid) / 1e6,
            len(os.listdir(f"/proc/{pid}/fd")),
            processes.thread_count(pid),
            tasks.get(role, 0),
        )
        for role, pid in roles.items()
    }


def run(minutes: float, stretch_s: int, seed: int) -> int:
    """Do it all; gives the exit status."""
    import ray_async as ray
    from ray_async import serve
    from ray_async.serve.names import CONTROLLER, NAMESPACE

    port = free_port()
    serve.start({"port": port})
    steady = serve.run(deployment(serve).bind(0), name="steady")
    controller = ray.get_actor(CONTROLLER, namespace=NAMESPACE)
    samples: list[dict[str, Sample]] = []
    failed = requests = 0.0
    for stretch in range(max(6, round(60 * minutes / stretch_s)) + WARM_STRETCHES):
        nuisance = Nuisance(port, seed + stretch)
        nuisance.start()
        load = Process(port, Load(CONNECTIONS, stretch_s))
        serve.run(deployment(serve).bind(stretch), name="changing", route_prefix="/changing")
        found = load.result()
        nuisance.stop()
        failed, requests = failed + found["failed"], requests + found["requests"]
        pid, tasks = steady.look.remote().result()
        roles = {"replica": pid, "controller": _pid_of(ray, controller), "driver": os.getpid()}
        now = look(roles, {"replica": tasks})
        say(f"{stretch}: {found['requests']:.0f} requests, {found['failed']:.0f} failed, {nuisance.sent} disturbed")
        say(f"   {now}")
        if stretch >= WARM_STRETCHES:
            samples.append(now)
    serve.shutdown()
    ray.shutdown()
    more = grown(samples)
    for line in more:
        say(f"grown: {line}")
    say(f"{requests:.0f} requests, {failed:.0f} failed; {'something has grown' if more else 'flat'}; seed {seed}")
    return 1 if more or failed else 0


def _pid_of(ray: Any, actor: Any) -> int:
    """The process of an actor."""
    from ray_async.util.state import get_actor

    row = get_actor(actor._actor_id.hex())
    assert row is not None, "the controller has died"
    return int(row.pid)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.serve.flat", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--stretch", type=positive, default=STRETCH_S, help="seconds between two looks")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args(arguments)
    if find_wrk() is None:
        say("bench.serve.flat: wrk is not installed: apt-get install wrk")
        return 2
    try:
        return run(options.minutes, options.stretch, options.seed)
    except LoadError as error:
        say(f"bench.serve.flat: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
