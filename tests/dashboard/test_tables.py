"""What a dashboard tells of a node."""

import http.client
import json
import os
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

import ray_async as ray
from ray_async.dashboard.node_questions import KINDS
from tests.dashboard.conftest import Client


@ray.remote
class Keeper:
    def pid(self) -> int:
        return os.getpid()


@ray.remote(max_retries=0)
def wrong() -> None:
    raise LookupError("lost <b>")


def query(limit: int = 100, offset: int = 0, **wanted: str) -> str:
    pairs: list[tuple[str, Any]] = [("limit", limit), ("offset", offset)]
    for key, value in wanted.items():
        pairs += [("filter_keys", key), ("filter_predicates", "="), ("filter_values", value)]
    return urlencode(pairs)


def test_rows_are_filtered_and_come_in_pages(client: Client) -> None:
    keepers = [Keeper.options(name=f"k{i}").remote() for i in range(3)]
    pids = ray.get([keeper.pid.remote() for keeper in keepers])
    (row,) = client.ask(f"/api/v0/actors?{query(name='K1')}").rows()
    assert (row["name"], row["pid"], row["state"]) == ("k1", pids[1], "ALIVE")
    found = [client.ask(f"/api/v0/actors?{query(2, offset, class_name='Keeper')}").json()["data"] for offset in (0, 2)]
    assert [len(page["result"]) for page in found] == [2, 1]
    assert [page["more"] for page in found] == [True, False]
    assert {row["pid"] for page in found for row in page["result"]} == set(pids)


def test_failed_tasks_are_there_with_their_errors(client: Client, wait_until: Callable[..., None]) -> None:
    with pytest.raises(LookupError):
        ray.get(wrong.remote())
    wait_until(lambda: client.ask(f"/api/v0/tasks?{query(name='wrong', state='FAILED')}").rows())
    (row,) = client.ask(f"/api/v0/tasks?{query(name='wrong')}").rows()
    assert "LookupError: lost <b>" in row["error_message"]
    summary = client.ask("/api/v0/tasks/summarize").rows()["cluster"]["summary"]
    assert summary["wrong"]["state_counts"] == {"FAILED": 1}


@pytest.mark.parametrize("kind", [*KINDS, "placement-groups"])
def test_every_kind_is_listed(client: Client, kind: str) -> None:
    answer = client.ask(f"/api/v0/{kind}")
    assert answer.status == 200 and isinstance(answer.rows(), list)


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/api/v0/actor", 404, "Did you mean 'actors'?"),
        ("/api/v0/nodes/summarize", 404, "no summary of nodes"),
        ("/api/v0/tasks?limit=-1", 400, "limit must be a whole number"),
        ("/api/v0/tasks?limit=0", 400, "limit must be between 1"),
        ("/api/v0/tasks?limit=" + "9" * 5000, 400, "limit must be"),
        ("/api/v0/tasks?limit=100000", 400, "limit must be between 1"),
        ("/api/v0/tasks?offset=x", 400, "offset must be"),
        ("/api/v0/tasks?filter_keys=name", 400, "must be as many"),
        ("/api/v0/tasks?filter_keys=name&filter_predicates=<&filter_values=x", 400, "predicate"),
        ("/api/v0/actors/summarize?x=" + "%00", 200, "cluster"),
    ],
)
def test_bad_questions_are_explained(client: Client, path: str, status: int, text: str) -> None:
    answer = client.ask(path)
    assert answer.status == status and text in answer.text


def test_the_overview_comes_again_and_again(client: Client) -> None:
    objects = [ray.put(bytes(1 << 20)) for _ in range(3)]
    connection = http.client.HTTPConnection(client.host, timeout=30)
    try:
        connection.request("GET", "/api/events", headers={"Authorization": f"Bearer {client.dashboard.token}"})
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "text/event-stream"
        figures: dict[str, Any] = {}
        while not figures or figures["objects"]["total_size_bytes"] < len(objects) << 20:  # the first may be older
            figures = json.loads(answer.readline().removeprefix(b"data: "))
            assert answer.readline() == b"\n"
        assert figures["total"]["CPU"] == 2 and figures["nodes"] == 1
        assert figures["store"]["limit"] > figures["store"]["used"] > 0
    finally:
        connection.close()


@ray.remote
class Sleeper:
    def __init__(self) -> None:
        self._never = threading.Event()

    def pid(self) -> int:
        return os.getpid()

    def sleeps_in_a_method(self) -> None:
        self._never.wait()


def test_stacks_of_workers_and_of_no_other_process(client: Client, wait_until: Callable[..., None]) -> None:
    sleeper = Sleeper.remote()
    pid = ray.get(sleeper.pid.remote())
    sleeper.sleeps_in_a_method.remote()
    wait_until(lambda: "sleeps_in_a_method" in client.ask(f"/worker/traceback?pid={pid}").text)
    for other in (os.getpid(), 1, "", "x", f"{pid}x"):
        assert client.ask(f"/worker/traceback?pid={other}").status == 404, other
    ray.kill(sleeper)
