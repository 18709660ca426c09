"""Logs over HTTP: what is in them, and that nothing else can be read."""

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from ray_async.dashboard.launch import DashboardError, start_dashboard
from tests.dashboard.conftest import Client


def read(client: Client, name: str, offset: int | None = None) -> tuple[int, str, int]:
    where = "" if offset is None else f"&offset={offset}"
    answer = client.ask(f"/api/v0/logs/file?filename={quote(name)}{where}")
    return answer.status, answer.text, int(answer.headers.get("X-Log-End", 0))


def test_a_log_is_listed_and_followed(client: Client) -> None:
    path = Path(client.session_dir, "own", "program.log")
    path.parent.mkdir(exist_ok=True)
    path.write_text("one <script>\n")
    names = [row["name"] for row in client.ask("/api/v0/logs").json()["files"]]
    assert "own/program.log" in names and "node.log" in names and "node.sock" not in names
    status, text, end = read(client, "own/program.log")
    assert (status, text) == (200, "one <script>\n")
    answer = client.ask("/api/v0/logs/file?filename=own/program.log")
    assert answer.headers["Content-Type"].startswith("text/plain"), "no browser makes a page of it"
    with path.open("a") as file:
        file.write("two\n")
    assert read(client, "own/program.log", end)[1] == "two\n"
    assert read(client, "own/program.log", 10**9)[:2] == (200, "")


def test_nothing_but_logs_of_the_session_is_read(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.log"
    secret.write_text("secret")
    link = Path(client.session_dir, "link.log")
    folder = Path(client.session_dir, "folder")
    link.symlink_to(secret)
    folder.symlink_to(tmp_path)
    climbing = os.path.relpath(secret, client.session_dir)
    Path(client.session_dir, "there").mkdir(exist_ok=True)
    names = [str(secret), climbing, f"there/../{climbing}", "link.log", "folder/secret.log", "dashboard.json"]
    names += [
        "",
        ".",
        "..",
        ".log",
        "node.log/",
        "no.log",
        "node.log\0",
        "/etc/passwd",
        "there/../node.log",
        "node.sock",
    ]
    for name in names:
        status, text, _ = read(client, name)
        assert status == 404 and "secret" not in text, name
    assert "link.log" not in [row["name"] for row in client.ask("/api/v0/logs").json()["files"]]
    assert client.ask("/api/v0/logs/file?filename=node.log&offset=-1").status == 400


def test_a_taken_port_is_named(client: Client) -> None:
    port = int(client.host.rpartition(":")[2])
    with pytest.raises(DashboardError, match=f"cannot listen at 127.0.0.1:{port}: Address already in use"):
        start_dashboard("x", client.session_dir, port=port)
