"""The end of a replica whose user's code raises in it: it is logged, and the end goes on."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest

from ray_async import serve
from tests.serve.controller import replica_pids, replica_states
from tests.serve.log_lines import log_lines
from tests.serve.waiting import wait_until


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_finalizer_that_raises(http: httpx.Client, tmp_path: Path, kind: type[BaseException], is_async: bool) -> None:
    runs = tmp_path / "runs"
    message = f"{kind.__name__} of {is_async}"

    def fail() -> None:
        with runs.open("a") as file:
            file.write("run\n")
        raise kind(message)

    async def fail_later(_: Any) -> None:
        fail()

    finalizer: Any = fail_later if is_async else lambda _: fail()

    @serve.deployment(name="Fails", num_replicas=2)
    class Fails:
        async def __call__(self) -> int:
            return os.getpid()

        __del__ = finalizer

    handle = serve.run(Fails.bind())
    pid = handle.remote().result()
    os.kill(pid, signal.SIGTERM)  # the one that is asked to end by itself does end
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert runs.read_text() == "run\n"
    wait_until(lambda: pid not in replica_pids().values() and replica_states() == {"Fails": {"RUNNING": 2}})
    serve.delete("default")
    assert runs.read_text() == "run\n" * 3
    assert replica_pids() == {}
    assert len(log_lines(f"{kind.__name__}: {message}")) == 3


def test_an_application_whose_shutdown_fails(http: httpx.Client, tmp_path: Path) -> None:
    done = tmp_path / "done"

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> Any:
        yield
        raise ValueError("the application cannot end")

    app = fastapi.FastAPI(lifespan=lifespan)

    @serve.deployment
    @serve.ingress(app)
    class Api:
        @app.get("/")
        def root(self) -> str:
            return "root"

        def __del__(self) -> None:
            done.touch()

    serve.run(Api.bind())
    assert http.get("/").json() == "root"
    serve.delete("default")
    assert done.exists()
    assert log_lines("the application cannot end")
