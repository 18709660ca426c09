"""TLS, and errors of its files."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
import websockets
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import HTTPOptions
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.ingress.tls import check_tls
from tests.serve.preloaded import PRELOADED

FILES = Path(__file__).parent / "certificates"
KEY, CERTIFICATE = str(FILES / "key.pem"), str(FILES / "certificate.pem")
TRUST = ssl.create_default_context(cafile=CERTIFICATE)
TLS = {"port": 0, "ssl_keyfile": KEY, "ssl_certfile": CERTIFICATE}


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(TLS)
    yield
    serve.shutdown()
    ray.shutdown()


@pytest.fixture
def https(session: None) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serve.status().url, verify=TRUST, timeout=60) as client:
        yield client
    for name in serve.status().applications:
        serve.delete(name)


@serve.deployment
class Scheme:
    async def __call__(self, request: Request) -> str:
        return request.url.scheme


def test_https(https: httpx.Client) -> None:
    serve.run(Scheme.bind())
    assert serve.status().url.startswith("https://127.0.0.1:")
    assert https.get("/").text == "https"
    host, port = serve.status().http_address.split(":")
    # A client that does not finish its handshake, and one that does not begin one, hold up nobody.
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        with httpx.Client(base_url=https.base_url, verify=TRUST) as another:
            assert another.get("/").text == "https"
        with contextlib.suppress(ConnectionResetError):
            assert b"200" not in plain.recv(1000)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"https://{host}:{port}/")


def api(name: str) -> Any:
    def build() -> fastapi.FastAPI:
        app = fastapi.FastAPI()

        @app.websocket("/talk")
        async def talk(socket: fastapi.WebSocket) -> None:
            await socket.accept()
            await socket.send_text(f"{name} {socket.url.scheme}")
            with contextlib.suppress(fastapi.WebSocketDisconnect):
                while True:
                    await socket.send_bytes(await socket.receive_bytes())

        return app

    @serve.deployment
    @serve.ingress(build)
    class Api: ...

    return Api.bind()


async def test_websockets_go_to_the_application_that_they_are_for(https: httpx.Client) -> None:
    for name in ("one", "two"):
        await asyncio.to_thread(serve.run, api(name), name=name, route_prefix=f"/{name}")
    address = f"wss://{await asyncio.to_thread(lambda: serve.status().http_address)}"
    for _ in range(4):  # whichever process has taken the connection
        for name in ("one", "two"):
            async with websockets.connect(f"{address}/{name}/talk", ssl=TRUST, max_size=None) as client:
                assert await client.recv() == f"{name} wss"
                large = bytes(500_000)
                await client.send(large)
                assert await client.recv() == large


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ssl_keyfile": "/no/key.pem"}, r"/no/key\.pem cannot be read: No such file"),
        ({"ssl_certfile": "/no/certificate.pem"}, r"/no/certificate\.pem cannot be read"),
        (
            {"ssl_keyfile": str(FILES / "other_key.pem")},
            r"other_key\.pem and .*certificate\.pem do not belong together",
        ),
        ({"ssl_keyfile": str(FILES / "locked_key.pem")}, r"the password of the key .*locked_key\.pem is missing"),
        (
            {"ssl_keyfile": str(FILES / "locked_key.pem"), "ssl_keyfile_password": "wrong"},
            r"the password of the key .*locked_key\.pem is wrong",
        ),
        ({"ssl_keyfile": __file__}, r"test_tls\.py does not hold what it shall"),
        ({"ssl_ca_certs": __file__}, r"test_tls\.py holds no certificates"),
    ],
)
def test_bad_files_are_named(changed: dict[str, str], message: str) -> None:
    with pytest.raises(RayServeException, match=message) as caught:
        check_tls(HTTPOptions(**{**TLS, **changed}))  # type: ignore[arg-type]
    assert "port" not in str(caught.value)


def test_a_key_with_a_password() -> None:
    check_tls(
        HTTPOptions(ssl_keyfile=str(FILES / "locked_key.pem"), ssl_certfile=CERTIFICATE, ssl_keyfile_password="secret")
    )


def test_files_that_are_given_by_halves() -> None:
    with pytest.raises(ValueError, match="given together"):
        HTTPOptions(ssl_keyfile=KEY)
    with pytest.raises(ValueError, match="need ssl_keyfile"):
        HTTPOptions(ssl_ca_certs=CERTIFICATE)
