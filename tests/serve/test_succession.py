"""A prefix that goes from one application to another by a config, and applications that go while they are used."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import ray_async as ray
from ray_async import serve
from ray_async.serve import api
from ray_async.serve.application import build
from ray_async.serve.exceptions import DeploymentUnavailableError, RayServeException
from tests.serve.controller import kill_controller, replica_pids
from tests.serve.gate import Gated
from tests.serve.load import Load
from tests.serve.test_killed_controller import gated, waits
from tests.serve.waiting import wait_until


def deploy(*applications: tuple[Any, str, str], wait: bool = True) -> None:
    """Deploy what a config would declare."""
    api.deploy([replace(build(*one), declared=True) for one in applications], None, wait)


@pytest.fixture
def free(tmp_path: Path) -> Path:
    path = tmp_path / "free"
    path.touch()
    return path


class Routes:
    """Looks at the routes without a pause."""

    def __init__(self, http: httpx.Client) -> None:
        self.seen: list[dict[str, str]] = []
        self._url = http.base_url
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            while not self._over.is_set():
                self.seen.append(client.get("/-/routes").json())

    def __enter__(self) -> "Routes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@serve.deployment(num_replicas=2)
class Word:
    def __init__(self, word: str) -> None:
        self.word = word

    async def __call__(self, request: Any = None) -> str:
        return self.word


def test_under_load(http: httpx.Client) -> None:
    deploy((Word.bind("app1"), "app1", "/m"))
    stays = serve.run(Word.bind("stays"), name="stays", route_prefix="/stays")
    with Routes(http) as routes, Load(http, stays, "/m") as load:
        for old, new in (("app1", "app2"), ("app2", "app3")):
            wait_until(lambda old=old: old in load.answers)  # type: ignore[misc]
            deploy((Word.bind(new), new, "/m"))
            wait_until(lambda old=old: old not in serve.status().applications)  # type: ignore[misc]
            wait_until(lambda new=new: new in load.answers)  # type: ignore[misc]
            assert http.get("/m").text == new
    assert load.failures == []
    assert set(load.answers) == {"app1", "app2", "app3", "stays"}
    assert all(list(seen) == ["/m", "/stays"] or set(seen) == {"/m", "/stays"} for seen in routes.seen)
    assert {name.split("#")[0].split("::")[1] for name in replica_pids()} == {"app3", "stays"}


def test_what_it_has_is_finished(http: httpx.Client, gate: Any) -> None:
    @serve.deployment
    class Front:
        def __init__(self, gate: Any, back: Any) -> None:
            self.gate, self.back = gate, back

        async def __call__(self, request: Any) -> str:
            await self.gate.wait.remote()
            word: str = await self.back.remote()
            return word

    deploy((Front.bind(gate, Word.bind("old")), "app1", "/m"))
    answers: list[str] = []
    ask = threading.Thread(target=lambda: answers.append(httpx.get(f"{http.base_url}/m", timeout=60).text))
    ask.start()
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    deploy((Word.bind("new"), "app2", "/m"))
    wait_until(lambda: http.get("/m").text == "new")
    assert serve.status().applications["app1"].status == "DELETING"
    ray.get(gate.open.remote())
    ask.join()
    assert answers == ["old"]
    wait_until(lambda: set(serve.status().applications) == {"app2"})


def test_what_waits_for_the_old_one_gets_the_new_one(http: httpx.Client, gate: Any) -> None:
    deploy((Gated.options(max_ongoing_requests=1).bind(gate), "app1", "/m"))
    answers: list[str] = []

    def ask() -> None:
        answers.append(httpx.get(f"{http.base_url}/m", timeout=60).text)

    asks = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asks:
        thread.start()
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    deploy((Word.bind("new"), "app2", "/m"))
    wait_until(lambda: answers == ["new"] * 3)
    ray.get(gate.open.remote())
    for thread in asks:
        thread.join()
    assert len(answers) == 4
    wait_until(lambda: set(serve.status().applications) == {"app2"})


def test_a_successor_that_fails(http: httpx.Client, free: Path, tmp_path: Path) -> None:
    deploy((Word.bind("app1"), "app1", "/m"))
    with pytest.raises(RuntimeError, match="cannot load app2"):
        deploy((gated("app2", free, fail=True), "app2", "/m"))
    assert http.get("/m").text == "app1"
    assert http.get("/-/routes").json() == {"/m": "app1"}
    gate = tmp_path / "gate"
    deploy((gated("app2", gate), "app2", "/m"), wait=False)
    wait_until(waits(gate).exists)
    kill_controller()
    assert http.get("/m").text == "app1"
    gate.touch()
    wait_until(lambda: http.get("/m").text == "app2")
    wait_until(lambda: set(serve.status().applications) == {"app2"})


def test_back_to_the_old_name_before_the_new_one_runs(http: httpx.Client, tmp_path: Path) -> None:
    deploy((Word.bind("app1"), "app1", "/m"))
    deploy((gated("app2", tmp_path / "never"), "app2", "/m"), wait=False)
    deploy((Word.bind("app1"), "app1", "/m"))
    wait_until(lambda: set(serve.status().applications) == {"app1"})
    assert http.get("/m").text == "app1"


def test_prefixes_that_are_swapped(http: httpx.Client) -> None:
    deploy((Word.bind("a"), "a", "/a"), (Word.bind("b"), "b", "/b"))
    deploy((Word.bind("a"), "a", "/b"), (Word.bind("b"), "b", "/a"))
    assert (http.get("/a").text, http.get("/b").text) == ("b", "a")


def test_two_that_live_cannot_have_one_prefix(http: httpx.Client) -> None:
    deploy((Word.bind("app1"), "app1", "/m"))
    with pytest.raises(RayServeException, match="Prefix /m is being used by application 'app1'"):
        serve.run(Word.bind("app2"), name="app2", route_prefix="/m")
    serve.run(Word.bind("other"), name="other", route_prefix="/o")
    with pytest.raises(RayServeException, match="Prefix /o is being used by application 'other'"):
        deploy((Word.bind("app2"), "app2", "/o"))
    assert (http.get("/m").text, http.get("/o").text) == ("app1", "other")


def test_deploying_what_is_about_to_go(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.bind(gate), name="app", route_prefix="/m")
    held = handle.remote("held")
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    delete = threading.Thread(target=serve.delete, args=("app",))
    delete.start()
    wait_until(lambda: serve.status().applications["app"].status == "DELETING")
    with pytest.raises(DeploymentUnavailableError):
        handle.remote("late").result()
    new = serve.run(Word.bind("new"), name="app", route_prefix="/m")
    delete.join()
    assert new.remote().result() == "new"
    assert http.get("/m").text == "new"
    ray.get(gate.open.remote())
    assert held.result() == "held"
    wait_until(lambda: len(replica_pids()) == 2)
