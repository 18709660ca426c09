"""The command `ray_async serve`, as it is called in a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.test_config import SHOP
from tests.serve.waiting import wait_until

ROOT = Path(__file__).parents[2]
SERVICE = "tests.serve.grpc_services.add_TextsServicer_to_server"

HELD = """
import asyncio, pathlib
from ray_async import serve

@serve.deployment
class Held:
    async def __call__(self, request):
        pathlib.Path("entered").touch()
        while not pathlib.Path("free").exists():
            await asyncio.sleep(0.01)
        return "done"

app = Held.bind()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ray_async", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def call(folder: Path, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


@contextmanager
def running(folder: Path, *words: str, end: signal.Signals = signal.SIGINT) -> Iterator[tuple[str, Any]]:
    """A command that serves, until the block's end sends it a signal; gives its address and its lines."""
    process = subprocess.Popen(
        command("serve", "run", *words), cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    watch = threading.Timer(110, process.kill)
    watch.start()
    assert process.stdout is not None
    try:
        assert re.match(r"Running (import path|config file): '", next(process.stdout))
        found = re.search(r"Serving (http://[\d.]+:\d+) until Ctrl-C", next(process.stdout))
        assert found is not None
        yield found[1], process.stdout
        process.send_signal(end)
        assert process.wait() == 0
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        process.stdout.close()


def test_run_an_import_path(folder: Path) -> None:
    with running(folder, "shop:make", "word=typed", "--port", "0", "--route-prefix", "/shop") as (url, _):
        assert httpx.get(f"{url}/shop").text == "typed"


def test_run_on_a_node_that_runs(folder: Path) -> None:
    call(folder, "start", "--head", "--port", "7101", "--node-ip-address", "127.0.0.1", "--num-gpus", "1")
    try:
        for address in ((), ("--address", "127.0.0.1:7101")):
            with running(folder, "shop:make", "word=typed", "--port", "0", *address) as (url, _):
                assert httpx.get(url).text == "typed"
        (folder / "script.py").write_text(
            "import ray_async as ray, shop\nfrom ray_async import serve\n"
            "handle = serve.run(shop.app, port=0, blocking=False)\n"
            "print(handle.remote(None).result(), ray.cluster_resources()['GPU'])\nserve.shutdown()\n"
        )
        words = [sys.executable, "script.py"]
        done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=100)
        assert done.stdout.splitlines()[-1] == "hello 1.0", done.stderr
    finally:
        call(folder, "stop")


def test_run_again_when_sources_change(folder: Path) -> None:
    with running(folder, "shop:app", "--port", "0", "--reload") as (url, lines):
        assert httpx.get(url).text == "hello"
        (folder / "shop.py").write_text("this is no Python")
        assert next(lines).startswith("Deploying again: shop.py changed")
        assert httpx.get(url).text == "hello"
        (folder / "shop.py").write_text(SHOP.replace("return self.word", "return self.word + ' again'"))
        assert next(line for line in lines if not line.startswith("Deploying again")) == "Deployed.\n"
        assert httpx.get(url).text == "hello again"


def test_sigterm_finishes_requests(folder: Path) -> None:
    (folder / "held.py").write_text(HELD)
    answers = []
    with running(folder, "held:app", "--port", "0", end=signal.SIGTERM) as (url, _):
        asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=60).text))
        asking.start()
        wait_until((folder / "entered").exists)
        client = httpx.Client(base_url=url, timeout=60)
        assert not is_ending(client)

        def free() -> None:
            wait_until(lambda: is_ending(client))
            (folder / "free").touch()

        freeing = threading.Thread(target=free)
        freeing.start()
    asking.join()
    freeing.join()
    client.close()
    assert answers == ["done"]


def is_ending(client: httpx.Client) -> bool:
    """Tell whether a connection that is open gets its last answer, or one without routes, or an end."""
    try:
        answer = client.get("/-/healthz")
        return answer.status_code != 200 or answer.headers.get("connection") == "close"
    except httpx.TransportError:
        return True
