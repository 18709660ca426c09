"""A cluster of three machines, one of which is lost in the middle of a job; the result is right all the same.

The machines are three node processes on this one, each with a folder of its own, joined over loopback ports with mutual
TLS as machines of a network would be. The job counts primes by tasks on all of them, and an actor adds up.

    python -m examples.cluster_demo
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import ray_async as ray

CHUNKS, CHUNK = 60, 20_000
LOST_AFTER = 15  # chunks
HOST = "127.0.0.1"


def command(folder: Path, *words: str) -> str:
    """Run the command line as on the machine that has a folder; returns what it prints."""
    environment = {**os.environ, "RAY_ASYNC_TMPDIR": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-m", "ray_async", *words], env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"ray_async {' '.join(words)} failed:\n{ran.stderr}")
    return ran.stdout


@ray.remote
def count_primes(first: int, last: int) -> tuple[int, str]:
    """Primes from `first` up to `last`, and the node that has counted them."""
    count = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(max(2, first), last))
    return count, ray.get_runtime_context().get_node_id()


@ray.remote(num_cpus=0)
class Tally:
    """Adds up what tasks of all nodes find."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, count: int) -> int:
        self.total += count
        return self.total


def run(pids: list[int]) -> tuple[int, Counter[str]]:
    """Count, and lose the last machine meanwhile; returns the sum, and how many chunks each node has counted."""
    tally = Tally.remote()
    waiting = [count_primes.remote(n * CHUNK, (n + 1) * CHUNK) for n in range(CHUNKS)]
    nodes: Counter[str] = Counter()
    total = 0
    while waiting:
        done, waiting = ray.wait(waiting)
        count, node = ray.get(done[0])
        nodes[node] += 1
        total = ray.get(tally.add.remote(count))
        if sum(nodes.values()) == LOST_AFTER:
            print(f"{LOST_AFTER} of {CHUNKS} chunks are counted; the third machine is lost now (kill -9).")
            os.kill(pids[-1], signal.SIGKILL)
    return total, nodes


def start(folder: Path) -> tuple[str, list[int]]:
    """Start a head and two machines that join it; returns the head's address, and the nodes' pids."""
    head_options = "--cluster", f"--node-ip-address={HOST}", "--port=0", "--num-cpus=1"
    said = command(folder / "0", "start", "--head", *head_options)
    address = said.partition("--address='")[2].partition("'")[0]
    credentials = said.partition("copy ")[2].partition(" there")[0]
    for number in (1, 2):
        began = time.perf_counter()
        options = f"--address={address}", f"--cluster-credentials={credentials}", "--num-cpus=1"
        command(folder / str(number), "start", *options)
        print(f"Machine {number + 1} has joined the head at {address} within {time.perf_counter() - began:.1f} s.")
    pids = [int(path.stem) for n in range(3) for path in sorted((folder / str(n)).rglob("nodes/*.json"))]
    return address, pids


def main() -> None:
    """Run the demonstration; fails if the result is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="ray-cluster-"))
    try:
        address, pids = start(folder)
        os.environ["RAY_ASYNC_TMPDIR"] = str(folder / "0")
        ray.init(address=address)
        print(f"{len(ray.nodes())} nodes with {ray.cluster_resources()['CPU']:.0f} CPUs.")
        began = time.perf_counter()
        total, nodes = run(pids)
        print(f"{total} primes below {CHUNKS * CHUNK}, in {time.perf_counter() - began:.1f} s.")
        for node, count in nodes.most_common():
            print(f"  node {node[:8]} has counted {count} chunks")
        alive = sum(bool(row["Alive"]) for row in ray.nodes())
        print(f"{alive} of 3 machines are left.")
        ray.shutdown()
    finally:
        for number in (2, 1, 0):
            command(folder / str(number), "stop")
        shutil.rmtree(folder)
    expected = sieve(CHUNKS * CHUNK)
    if total != expected:
        raise SystemExit(f"wrong: there are {expected}")
    print("A sieve on this machine finds as many.")


def sieve(limit: int) -> int:
    """How many primes there are below `limit`, by the sieve of Eratosthenes."""
    marks = bytearray([1]) * limit
    marks[:2] = b"\0\0"
    for n in range(2, int(limit**0.5) + 1):
        if marks[n]:
            marks[n * n :: n] = bytes(len(range(n * n, limit, n)))
    return sum(marks)


if __name__ == "__main__":
    main()
