"""Starts of Serve that fail leave nothing behind; each test has a session of its own."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.api import deploy
from ray_async.serve.deploying.from_config import built_of, settings_of
from ray_async.serve.deploying.schema import read_config
from ray_async.serve.exceptions import RayServeException
from tests.serve.controller import kill_controller
from tests.serve.preloaded import PRELOADED


@pytest.fixture
def node() -> Iterator[None]:
    """A node without Serve."""
    ray.init(num_cpus=2, log_to_driver=False, preload=PRELOADED)
    yield
    serve.shutdown()
    ray.shutdown()


@serve.deployment
def hello(request: Request) -> str:
    return "hello"


def nothing_is_left() -> bool:
    return ray.util.list_named_actors(all_namespaces=True) == [] and serve.status() == serve.status().__class__()


def test_a_port_that_is_taken(node: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"Serve cannot listen on 127.0.0.1:{port}"):
            serve.run(hello.bind(), port=port, blocking=False)
        assert nothing_is_left()
        with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
            serve.start({"port": port})
        assert nothing_is_left()
    serve.run(hello.bind(), port=0, blocking=False)
    assert httpx.get(serve.status().url).text == "hello"


def test_without_http(node: None) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        serve.start(proxy_location="nowhere")
    serve.start(proxy_location=serve.ProxyLocation.Disabled)
    handle = serve.run(hello.bind())
    assert handle.remote(None).result() == "hello"
    kill_controller()
    serve.run(hello.bind(), name="other", route_prefix="/other")
    assert serve.status().http_address == ""
    with pytest.raises(RayServeException, match="started without HTTP"):
        serve.start({"port": 0}, proxy_location="EveryNode")
    assert serve.get_app_handle("other").remote(None).result() == "hello"
    for name in ("default", "other"):
        serve.delete(name)
    serve.start({"port": 0})
    serve.run(hello.bind())
    assert httpx.get(serve.status().url).text == "hello"


def test_a_config_without_http(node: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quiet.py").write_text(
        "from ray_async import serve\n@serve.deployment\ndef hello(request):\n    return 'hello'\napp = hello.bind()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "config.yaml"
    file.write_text("proxy_location: Disabled\napplications:\n  - import_path: quiet:app\n")
    config = read_config(file)
    deploy(built_of(config), None, wait=True, settings=settings_of(config))
    assert serve.status().http_address == ""
    assert serve.get_app_handle("default").remote(None).result() == "hello"
    kill_controller()
    assert serve.status().http_address == ""


def test_certificates_that_are_not_there(node: None, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(RayServeException, match=r"missing\.pem cannot be read"):
        serve.start({"port": 0, "ssl_keyfile": missing, "ssl_certfile": missing})
    assert nothing_is_left()
