"""A node with a dashboard, and a client that says exactly what a test wants said."""

import http.client
import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

import ray_async as ray
from ray_async.dashboard.launch import Dashboard, start_dashboard


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def rows(self) -> Any:
        return self.json()["data"]["result"]


class Client:
    """Asks a dashboard, each time over a connection of its own."""

    def __init__(self, dashboard: Dashboard, address: str, session_dir: str) -> None:
        self.dashboard = dashboard
        self.address = address
        self.session_dir = session_dir
        self.host = urlsplit(dashboard.url).netloc

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, token: str | None = "", **headers: str
    ) -> Answer:
        """Ask with the right token, another one, or none; underscores in names of headers stand for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token or self.dashboard.token}"
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in given)
            for name, value in given.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with ray.init("local", num_cpus=2, namespace="here") as context:
        info = context.address_info
        dashboard = start_dashboard(info["address"], info["session_dir"], port=0)
        yield Client(dashboard, info["address"], info["session_dir"])
