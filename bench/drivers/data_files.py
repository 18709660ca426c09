"""What the drivers of Data share: targets of writes, the server for HTTP calls, and small functions of rows."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.drivers import processes

__all__ = ("files", "http_server", "target", "timed")

SERVER = """
import asyncio, os, sys

BODY = b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: keep-alive\\r\\n\\r\\nok"

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        asyncio.get_running_loop().call_later(float(sys.argv[1]), self.answer)
    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(BODY)

async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0, backlog=2000)
    print(server.sockets[0].getsockname()[1], flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.5)

asyncio.run(main())
"""


def files(params: Mapping[str, Any], name: str = "folder") -> list[str]:
    """The Parquet files of a folder that the parameters name, in order."""
    return [str(path) for path in sorted(Path(params[name]).glob("*.parquet"))]


@contextlib.contextmanager
def target() -> Iterator[str]:
    """A folder to write to, which is gone afterwards."""
    folder = tempfile.mkdtemp(prefix="bench-data-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def timed(work: Callable[[Mapping[str, Any]], object], params: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of one run; of the mean of many where the parameters name `seconds`.

    Args:
        work: the work; what it returns is dropped after the clock has stopped.
        params: the case's.
    """
    if "seconds" not in params:
        start = time.perf_counter()
        kept = work(params)
        elapsed = time.perf_counter() - start
        del kept
        return {"wall": elapsed}
    work(params)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < float(params["seconds"]):
        work(params)
        count += 1
    return {"wall": (time.perf_counter() - start) / count}


@contextlib.contextmanager
def http_server(delay: float) -> Iterator[int]:
    """A server in a process that counts as nobody's, which answers each request after so many seconds; its port."""
    free = {name: value for name, value in os.environ.items() if name != processes.MARK}
    command = [sys.executable, "-S", "-c", SERVER, str(delay)]
    process = subprocess.Popen(command, env=free, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()
