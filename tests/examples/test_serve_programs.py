"""The programs that serve a model, as their users run them, and how a script that serves ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).parent / "stand_ins"
# The programs listen on port 8000; here on any free one.
ANY_PORT = "run = serve.run; serve.run = lambda app, host, port: run(app, host=host, port=0); "
MODEL = (
    "import runpy, ray_async as ray; from ray_async import serve; ray.init(num_gpus=1, log_to_driver=False); "
    + ANY_PORT
    + 'runpy.run_module("examples.serve_model", run_name="__main__")'
)
PIPELINE = "from examples.serve_pipeline import app; from ray_async import serve; serve.run(app, port=0)"


def environment(stand_in: bool = True) -> dict[str, str]:
    path = [str(ROOT), *([str(STAND_INS)] if stand_in else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


@contextmanager
def serving(code: str, variables: dict[str, str]) -> Iterator[str]:
    """A script that serves, until the block's end sends it Ctrl-C; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    watch = threading.Timer(250, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "until Ctrl-C" in line), "")
        found = re.search(r"Serving http://[\d.]+:(\d+) until Ctrl-C", line)
        assert found is not None, line
        yield f"http://127.0.0.1:{found[1]}"
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
    finally:
        watch.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_model_answers(tmp_path: Path) -> None:
    with serving(MODEL, environment()) as url:
        answer = httpx.post(url, json={"text": "Ray Serve is excellent!"}, timeout=60)
        assert answer.status_code == 200
        assert answer.json()["label"] == "POSITIVE"
        assert set(answer.json()) == {"label", "score"}


def test_the_pipeline_answers() -> None:
    with serving(PIPELINE, environment()) as url:
        answers = [httpx.post(url, json={"text": text}, timeout=60).json() for text in ("  GREAT product ", "awful")]
    assert [answer["label"] for answer in answers] == ["POSITIVE", "NEGATIVE"]


# The libraries are too large for one test to install: it belongs to the suite where `make demo-serve` has put them.
if find_spec("torch") and find_spec("transformers"):

    @pytest.mark.timeout(300)
    def test_a_real_model_answers(tmp_path: Path) -> None:
        made = subprocess.run(
            [sys.executable, "-m", "examples.tiny_hub", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=200
        )
        variables = dict(re.findall(r'export (\w+)="(.*)"', made.stdout))
        with serving(PIPELINE, environment(stand_in=False) | variables) as url:
            answer = httpx.post(url, json={"text": "Terrible service"}, timeout=60).json()
        assert answer["label"] == "NEGATIVE"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=110
    )


def test_the_model_without_a_gpu_says_what_is_lacking() -> None:
    done = run(MODEL.replace("num_gpus=1", "num_gpus=0"))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "'SentimentService' cannot start: it asks for {'num_gpus': 0.5}, and the node has {'CPU'" in last
    assert "until Ctrl-C" not in done.stdout


@pytest.mark.parametrize(
    "last", ["serve.run(app, port=0, blocking=False)", "serve.run(app, port=0); serve.shutdown()", "serve.run(app)"]
)
def test_a_script_that_does_not_wait(last: str) -> None:
    start = "" if "port" in last else "serve.start({'port': 0}); "
    done = run(PIPELINE.replace("serve.run(app, port=0)", start + last))
    assert (done.returncode, done.stdout) == (0, "")


def test_the_demonstration(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.serve_demo", "--requests", "32", "--plot", str(tmp_path / "plot.png")]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("p99 ") == 2
    assert (tmp_path / "plot.png").stat().st_size > 1000
