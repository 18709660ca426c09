"""Who gets in, and who does not."""

import resource
import socket
from pathlib import Path

import pytest

from ray_async.dashboard import application
from tests.dashboard.conftest import Client


@pytest.mark.parametrize("token", [None, "wrong", "é"])
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/overview", "/api/v0/tasks", "/api/v0/logs/file", "/no/such"])
def test_without_the_token_there_is_nothing(client: Client, path: str, token: str | None) -> None:
    answer = client.ask(path, token=token)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.dashboard.token not in answer.text


def test_a_link_is_good_once_and_brings_a_cookie(client: Client) -> None:
    path = client.dashboard.link().removeprefix(client.dashboard.url)
    first = client.ask(path, token=None)
    assert (first.status, first.headers["Location"]) == (303, "/")
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and client.dashboard.token not in cookie
    ticket = cookie.partition(";")[0]
    assert client.ask("/", token=None, Cookie=ticket).status == 200
    assert client.ask(path, token=None, Cookie=ticket).status == 303, "the same browser may follow it again"
    again = client.ask(path, token=None)
    assert again.status == 401 and "prints a new one" in again.text
    assert client.ask("/?code=guessed", token=None).status == 401
    assert client.ask("/", token=ticket.partition("=")[2]).status == 401, "the cookie is no token"


def test_other_names_of_the_host_are_refused(client: Client) -> None:
    for name in ("evil.example", f"evil.example:{client.host.rpartition(':')[2]}", "127.0.0.1", ""):
        assert client.ask("/api/overview", Host=name).status == 421, name
    port = client.host.rpartition(":")[2]
    assert client.ask("/api/overview", Host=f"LOCALHOST:{port}").status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/link"), ("GET", "/api/overview")])
def test_pages_of_other_sites_are_refused(client: Client, method: str, path: str, origin: str) -> None:
    assert client.ask(path, method, b"", Origin=origin).status == 403


def test_what_a_browser_says_of_the_asker_counts(client: Client) -> None:
    own = f"http://{client.host}"
    assert client.ask("/api/link", "POST", b"", Origin=own, Sec_Fetch_Site="same-origin").status == 200
    for site in ("cross-site", "same-site"):
        assert client.ask("/api/overview", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403
        assert client.ask("/api/link", "POST", b"", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 403
        assert client.ask("/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate").status == 200, "a link was followed"


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/overview", "/no/such", "/api/v0/nothing"])
@pytest.mark.parametrize("token", [None, ""])
def test_every_answer_says_what_it_may_do(client: Client, path: str, token: str | None) -> None:
    headers = client.ask(path, token=token).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_oversized_requests_are_refused(client: Client) -> None:
    assert client.ask("/api/overview", Cookie="a=" + "b" * 100_000).status == 400
    assert client.ask("/" + "a" * 100_000).status in (400, 414)
    assert client.ask("/api/overview").status == 200


def test_idle_connections_keep_nobody_out(client: Client) -> None:
    host, _, port = client.host.rpartition(":")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    idle = []
    try:
        for number in range(1000):
            one = socket.create_connection((host, int(port)), timeout=30)
            idle.append(one)
            if number % 2:
                one.sendall(b"GET / HTTP/1.1\r\nHost:")  # and never the rest
        assert client.ask("/api/overview").status == 200
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pages_make_no_markup_of_texts_and_load_nothing_from_elsewhere() -> None:
    sources = {path.name: path.read_text() for path in Path(application.__file__).with_name("static").iterdir()}
    assert sum(map(len, sources.values())) < 200_000
    for name, text in sources.items():
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", " style="):
            assert way not in text, (name, way)
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text, name
