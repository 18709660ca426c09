"""The drivers' side of the protocol, and their stopwatch.

Lines from the harness: `{"case": name, "params": {...}}`. Lines back: first `{"cases": [...], "version": "..."}` or
`{"error": "..."}`, then for each line `{"metrics": {...}}` or `{"error": "..."}`. End of input ends the driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from bench.drivers import processes

__all__ = (
    "Case",
    "Stopwatch",
    "import_seconds",
    "interpreter_seconds",
    "load",
    "repeat",
    "repeat_async",
    "script_metrics",
    "serve",
)

# Ends by itself with who has started it, too.
BUSY = """
import os, sys
os.write(1, b"x")
while os.getppid() == int(sys.argv[1]):
    for _ in range(1000000):
        pass
"""

Case = Callable[[Mapping[str, Any]], Mapping[str, float]]


def serve(cases: Mapping[str, Case], version: str, close: Callable[[], None] = lambda: None) -> None:
    """Answer the harness until it closes the pipe.

    Args:
        cases: what this driver can measure.
        version: of the library that it drives.
        close: called at the end.
    """
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever the library prints goes to stderr and cannot garble the replies
    print(json.dumps({"cases": sorted(cases), "version": version}), file=replies)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with load() if request["params"].get("busy") else contextlib.nullcontext():
                reply: dict[str, Any] = {"metrics": dict(cases[request["case"]](request["params"]))}
        except Exception as error:  # reported to the harness, which records it
            reply = {"error": f"{type(error).__name__}: {error}\n{traceback.format_exc()}"}
        print(json.dumps(reply), file=replies)
    close()


@contextlib.contextmanager
def load() -> Iterator[None]:
    """A busy process for each core, which counts as nobody's."""
    free = {name: value for name, value in os.environ.items() if name != processes.MARK}
    command = [sys.executable, "-S", "-c", BUSY, str(os.getpid())]
    busy = [subprocess.Popen(command, env=free, stdout=subprocess.PIPE) for _ in range(os.cpu_count() or 1)]
    try:
        for each in busy:
            assert each.stdout is not None
            each.stdout.read(1)
        yield
    finally:
        for each in busy:
            each.kill()
            each.communicate()


class Stopwatch:
    """Wall time of this process and CPU time of all processes of its contender, between `start` and `stop`.

    What ends in between counts if one of the processes has waited for it.
    """

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0
        self._mark = os.environ.get(processes.MARK, "")

    def start(self) -> None:
        self._ended_before = self._ended()
        self._before = self._cpu()
        self._start = time.perf_counter()

    def stop(self) -> None:
        self.wall = time.perf_counter() - self._start
        own = processes.cpu_seconds(os.getpid())  # before the search, which takes milliseconds of this process
        after = self._cpu()
        if os.getpid() in after:
            after[os.getpid()] = own
        alive = sum(used - self._before.get(pid, 0.0) for pid, used in after.items())
        counted = sum(used for pid, used in self._before.items() if pid not in after)
        self.cpu = alive + max(0.0, self._ended() - self._ended_before - counted)

    def _ended(self) -> float:
        return sum(map(processes.cpu_seconds_of_ended, self._pids()))

    def metrics(self, operations: int) -> dict[str, float]:
        """Wall and CPU seconds per operation."""
        return {"wall": self.wall / operations, "cpu": self.cpu / operations}

    def _cpu(self) -> dict[int, float]:
        return {pid: processes.cpu_seconds(pid) for pid in self._pids()}

    def _pids(self) -> list[int]:
        return processes.processes_of(self._mark) if self._mark else [os.getpid()]


def repeat(operation: Callable[[], object], params: Mapping[str, Any], per: int = 1) -> dict[str, float]:
    """Call `operation`, which does `per` operations, again and again for `params["seconds"]`, after one untimed call.

    Example: `repeat(lambda: None, {"seconds": 0.1})["wall"]` is the cost of an empty call.
    """
    operation()
    watch, seconds = Stopwatch(), float(params["seconds"])
    count, chunk = 0, 1
    watch.start()
    start = time.perf_counter()
    while True:
        for _ in range(chunk):
            operation()
        count += chunk
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            break
        chunk = max(1, min(2 * chunk, int(count * (seconds - elapsed) / elapsed)))
    watch.stop()
    return watch.metrics(count * per)


async def repeat_async(
    operation: Callable[[], Awaitable[object]], params: Mapping[str, Any], per: int = 1
) -> dict[str, float]:
    """The same for an operation that is awaited."""
    await operation()
    watch, seconds = Stopwatch(), float(params["seconds"])
    count = 0
    watch.start()
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        await operation()
        count += 1
    watch.stop()
    return watch.metrics(count * per)


def interpreter_seconds(code: str) -> float:
    """Seconds that this interpreter needs to start, run `code` and end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def import_seconds(module: str) -> float:
    """Seconds that `import module` takes in a fresh interpreter, whose start is not counted."""
    code = (
        f"import time; start = time.perf_counter(); import {module}; end = time.perf_counter();"
        "import json; print(json.dumps({'wall': end - start}))"
    )
    return script_metrics(code)["wall"]


def script_metrics(code: str, *arguments: str) -> dict[str, float]:
    """Run `code` in a fresh interpreter; it prints its metrics as JSON on the last line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the script ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))
