"""Health checks: what blocks a loop is named, what is busy is left alone, and what begins unwell replaces nobody."""

import contextlib
import faulthandler
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_async import serve
from ray_async.exceptions import RayActorError
from ray_async.serve.stack_dump import blocking_frame, take_requests, user_frame
from tests.serve.controller import controller_pid, replica_pids, replica_states
from tests.serve.load import Load
from tests.serve.sizes import size
from tests.serve.waiting import wait_until

QUICK = {"health_check_period_s": 0.1, "health_check_timeout_s": 1}


@serve.deployment(num_replicas=2, **QUICK)
class Blocks:
    async def __call__(self, block: Any = False) -> int:
        if block is True:
            self.block_for_ever()
        return os.getpid()

    def block_for_ever(self) -> None:
        while True:
            time.sleep(0.01)


def test_a_blocked_loop_is_replaced_and_named(http: httpx.Client) -> None:
    handle = serve.run(Blocks.bind())
    pids = set(replica_pids().values())
    said: list[str] = []
    stuck = handle.remote(True)
    with pytest.raises(RayActorError):
        while True:
            said.append(serve.status().applications["default"].deployments["Blocks"].message)
            with contextlib.suppress(TimeoutError):
                stuck.result(timeout_s=0.05)
    assert f"its loop is blocked in block_for_ever ({__file__}:" in "\n".join(said)
    wait_until(lambda: replica_states() == {"Blocks": {"RUNNING": 2}})
    assert len(pids & set(replica_pids().values())) == 1


def test_a_stopped_process_is_named_and_replaced(http: httpx.Client) -> None:
    handle = serve.run(Blocks.bind())
    pid = min(replica_pids().values())
    os.kill(pid, signal.SIGSTOP)
    messages: set[str] = set()

    def replaced() -> bool:
        messages.add(serve.status().applications["default"].deployments["Blocks"].message)
        return pid not in replica_pids().values() and replica_states() == {"Blocks": {"RUNNING": 2}}

    wait_until(replaced)
    assert "its process is stopped" in "\n".join(messages)
    assert {handle.remote().result() for _ in range(40)} == set(replica_pids().values())


def test_what_is_only_busy_is_left_alone(http: httpx.Client) -> None:
    @serve.deployment(num_replicas=2, max_ongoing_requests=20, **QUICK)
    class Busy:
        def __call__(self, request: Any = None) -> str:
            time.sleep(0.01)
            return "sync"

        async def blocks(self) -> str:
            time.sleep(0.05)
            return "async"

    handle = serve.run(Busy.bind())
    pids = replica_pids()
    few, many = size(60, 400), size(300, 1600)
    responses = [handle.remote() for _ in range(many)] + [handle.blocks.remote() for _ in range(few)]
    healthy = [http.get("/-/healthz").status_code for _ in range(5)]
    assert [response.result() for response in responses] == ["sync"] * many + ["async"] * few
    assert healthy == [200] * 5
    assert replica_pids() == pids


def test_a_check_that_hangs_or_ends_the_process(http: httpx.Client, tmp_path: Path) -> None:
    @serve.deployment(health_check_period_s=0.05, health_check_timeout_s=0.5)
    class Checked:
        def __init__(self) -> None:
            self.number = len(list(tmp_path.iterdir()))
            (tmp_path / str(self.number)).touch()
            self.begun = False

        async def check_health(self) -> None:
            if self.begun and self.number == 0:
                await self.event()
            elif self.begun and self.number == 1:
                raise SystemExit(3)

        async def event(self) -> None:
            await __import__("asyncio").Event().wait()

        async def __call__(self) -> int:
            self.begun = True
            return self.number

    handle = serve.run(Checked.bind())
    seen: set[str] = set()

    def third() -> bool:
        seen.add(serve.status().applications["default"].deployments["Checked"].message)
        return bool(handle.remote().result() == 2)

    wait_until(third)
    assert "its loop is not blocked, but its check does not end" in "\n".join(seen)
    assert "check_health has raised SystemExit(3)" in "\n".join(seen)


def test_a_version_that_is_not_well_replaces_nobody(http: httpx.Client) -> None:
    def checked(answer: str, well: bool) -> Any:
        @serve.deployment(num_replicas=5)
        class Checked:
            def check_health(self) -> None:
                if not well:
                    raise ValueError(f"{answer} is not well")

            async def __call__(self, request: Any = None) -> str:
                return answer

        return Checked.bind()

    handle = serve.run(checked("v1", True))
    running: set[int] = set()
    over = threading.Event()

    def look() -> None:  # a new version's replicas never run, since their first check fails
        while not over.is_set():
            running.add(replica_states()["Checked"]["RUNNING"])

    with Load(http, handle) as load:
        looking = threading.Thread(target=look)
        looking.start()
        with pytest.raises(RuntimeError, match="v2 is not well"):
            serve.run(checked("v2", False))
        over.set()
        looking.join()
        assert min(running) >= 4
        load.more()
        assert replica_states() == {"Checked": {"RUNNING": 5}}
        os.kill(controller_pid(), signal.SIGKILL)
        status = serve.status().applications["default"]
        assert (status.status, "v2 is not well" in status.message) == ("DEPLOY_FAILED", True)
        assert set(load.answers) == {"v1"}
        serve.run(checked("v3", True))
        load.more()
    assert load.failures == []
    assert set(load.answers) == {"v1", "v3"}


def test_a_version_of_which_the_second_replica_fails(http: httpx.Client, tmp_path: Path) -> None:
    def made(answer: str, fails: bool) -> Any:
        @serve.deployment(name="Made", num_replicas=5, rolling_update_percentage=0.2)
        class Made:
            def __init__(self) -> None:
                if not fails:
                    return
                try:
                    (tmp_path / "first").touch(exist_ok=False)
                except FileExistsError:
                    raise ValueError(f"{answer} has a second replica") from None

            async def __call__(self, request: Any = None) -> str:
                return answer

        return Made.bind()

    handle = serve.run(made("v1", False))
    with Load(http, handle) as load:
        with pytest.raises(RuntimeError, match="v2 has a second replica"):
            serve.run(made("v2", True))
        wait_until(lambda: replica_states() == {"Made": {"RUNNING": 5}})
        assert serve.status().applications["default"].status == "DEPLOY_FAILED"
        load.more()
    assert load.failures == []
    assert {handle.remote().result() for _ in range(30)} == {"v1"}


def test_the_users_frame_is_found(tmp_path: Path) -> None:
    package = Path(serve.__file__).parent
    text = f"""Thread 0x1 (most recent call first):
  File "{tmp_path}/other.py", line 1 in not_this_thread

Current thread 0x2 (most recent call first):
  File "{os.__file__}", line 3 in read
  File "{tmp_path}/model.py", line 12 in predict
  File "{package}/replica/runner.py", line 4 in call
  File "<string>", line 1 in <module>
"""
    assert user_frame(text) == f"predict ({tmp_path}/model.py:12)"
    assert user_frame(text.replace("model.py", "x").replace(str(tmp_path), str(package))) is None
    assert user_frame("") is None


def test_a_process_says_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "stack"
    file = take_requests(path)
    assert file is not None
    with file, ThreadPoolExecutor(1) as pool:
        found = pool.submit(blocking_frame, os.getpid(), path)
        over = threading.Event()
        found.add_done_callback(lambda _: over.set())
        over.wait()
        assert "test_a_process_says_where_it_is" in found.result()
    faulthandler.unregister(signal.SIGRTMIN + 1)
    assert "cannot be read" in blocking_frame(os.getpid(), tmp_path / "none")
    assert blocking_frame(0, path) == "nothing is known of what it does"
