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
import yaml

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
        freeing = threading.Thread(target=free_at_end, args=(client, folder / "free"))
        freeing.start()
    asking.join()
    freeing.join()
    client.close()
    assert answers == ["done"]


def is_ending(client: httpx.Client) -> bool:
    """Tell whether a connection that is open gets its last answer, or an end."""
    try:
        return bool(client.get("/-/healthz").headers.get("connection") == "close")
    except httpx.TransportError:
        return True


def free_at_end(client: httpx.Client, path: Path) -> None:
    """Let the handler go on, once its server is ending."""
    wait_until(lambda: is_ending(client))
    path.touch()


@pytest.fixture
def node(folder: Path) -> Iterator[None]:
    call(folder, "start", "--head", "--num-cpus", "2")
    yield
    call(folder, "stop", "--force")


@pytest.mark.timeout(300)
def test_deploy_and_look(folder: Path, node: None) -> None:
    config: dict[str, Any] = {
        "http_options": {"host": "127.0.0.1", "port": 0},
        "applications": [
            {"name": "one", "import_path": "shop:app", "deployments": [{"name": "Greet", "num_replicas": 2}]},
            {"name": "two", "import_path": "shop:make", "route_prefix": "/two", "args": {"word": "two"}},
        ],
    }
    file = folder / "config.yaml"

    def deploy(status: int = 0) -> str:
        file.write_text(yaml.safe_dump(config))
        return call(folder, "serve", "deploy", "config.yaml", status=status)

    def state() -> Any:
        return yaml.safe_load(call(folder, "serve", "status"))

    def is_running(*names: str) -> bool:
        found = {name: one["status"] for name, one in state()["applications"].items()}
        return found == dict.fromkeys(names, "RUNNING")

    call(folder, "serve", "start", "--http-port", "0", "--grpc-port", "0", "--grpc-servicer-functions", SERVICE)
    assert all(state()[name].startswith("127.0.0.1:") for name in ("http_address", "grpc_address"))
    assert deploy() == "Sent deploy request successfully.\n"
    wait_until(lambda: is_running("one", "two"))
    url = f"http://{state()['http_address']}"
    assert state()["applications"]["one"]["deployments"]["Greet"]["replica_states"] == {"RUNNING": 2}
    assert [httpx.get(url + path).text for path in ("/", "/two")] == ["hello", "two"]
    # What the file does not name any more goes; what it changes is changed.
    config["applications"] = [
        {"name": "two", "import_path": "shop:make", "route_prefix": "/two", "args": {"word": "two"}}
    ]
    config["applications"][0]["deployments"] = [{"name": "Greet", "user_config": {"word": "configured"}}]
    deploy()
    wait_until(lambda: is_running("two"))
    assert httpx.get(f"{url}/two").text == "configured"
    assert httpx.get(url).status_code == 404
    shown = yaml.safe_load(call(folder, "serve", "config", "--name", "two"))["applications"][0]
    assert shown["deployments"] == [
        {"name": "Greet", "num_replicas": 1, "max_ongoing_requests": 7, "user_config": {"word": "configured"}}
    ]
    # A file that says what it may not changes nothing.
    config["applications"].append({"name": "three", "import_path": "shop:nothing", "route_prefix": "/three"})
    assert "applications[1] (three): there is no 'nothing' in shop" in deploy(status=1)
    assert is_running("two")
    assert "no application 'one'" in call(folder, "serve", "status", "--name", "one", status=1)
    assert call(folder, "serve", "shutdown", "--yes") == "Serve has ended.\n"
    assert state()["applications"] == {}


@pytest.mark.timeout(300)
def test_the_rest_api(folder: Path, node: None) -> None:
    said = call(folder, "serve", "start", "--http-port", "0", "--rest-port", "0")
    url, token = re.findall(r"REST API: (\S+)\nIts token is in (\S+)\n", said)[0]
    headers = {"authorization": f"Bearer {Path(token).read_text()}"}
    config = {"applications": [{"name": "one", "import_path": "shop:app"}]}
    assert httpx.put(url, json=config, headers=headers).text == ""
    wait_until(lambda: httpx.get(url, headers=headers).json()["applications"]["one"]["status"] == "RUNNING")
    address = yaml.safe_load(call(folder, "serve", "status"))["http_address"]
    assert httpx.get(f"http://{address}").text == "hello"
    call(folder, "serve", "shutdown", "--yes")
    assert not Path(token).exists()


def test_build(folder: Path) -> None:
    call(folder, "serve", "build", "shop:app", "-o", "made.yaml")
    made = yaml.safe_load((folder / "made.yaml").read_text())
    assert made["applications"][0]["import_path"] == "shop:app"
    assert yaml.safe_load(call(folder, "serve", "build", "shop:app")) == made
    text = call(folder, "serve", "build", "shop:app", "--grpc-servicer-functions", "a.add", "b.add")
    assert yaml.safe_load(text)["grpc_options"]["grpc_servicer_functions"] == ["a.add", "b.add"]


def test_what_cannot_be_done_is_said(folder: Path) -> None:
    assert "no 'apple' in shop" in call(folder, "serve", "run", "shop:apple", status=1)
    assert "key=value" in call(folder, "serve", "run", "shop:make", "word", status=1)
    assert "nowhere.yaml" in call(folder, "serve", "run", "nowhere.yaml", status=1)
    assert "ray_async serve: " in call(folder, "serve", "status", status=1)  # no node runs
    assert "usage: ray_async serve" in call(folder, "serve", "--help")
