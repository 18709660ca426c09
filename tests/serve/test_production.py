"""The production files of the documents: the config, the unit of systemd, the image; and what they start."""

import configparser
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ray_async.serve.deploying.command import _parser
from ray_async.serve.deploying.schema import read_config
from tests.serve.test_command import HELD, ROOT, environment, is_ending
from tests.serve.waiting import wait_until

PAGE = (ROOT / "docs" / "serving.md").read_text()


def block(kind: str) -> str:
    """The first block of a kind in the section about production."""
    section = PAGE[PAGE.index("## Production") :]
    found = re.search(rf"^```{kind}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the image, each with what follows."""
    lines = block("dockerfile").replace("\\\n", " ").splitlines()
    parts = [line.partition(" ") for line in lines if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in parts]


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(block("ini"))
    return parser


def test_the_unit_is_one() -> None:
    found = unit()
    known = {
        "Unit": {"Description", "After"},
        "Service": {"User", "WorkingDirectory", "ExecStart", "KillMode", "TimeoutStopSec", "Restart"},
        "Install": {"WantedBy"},
    }
    assert {name: set(found[name]) for name in found.sections()} == known
    service = found["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).is_absolute() and Path(program).name == "ray_async"
    assert Path(program).is_relative_to(service["WorkingDirectory"])
    assert words[0] == "serve" and _parser().parse_args(words[1:]).target == "config.yaml"
    assert service["KillMode"] == "mixed" and service["Restart"] == "on-failure"
    assert int(service["TimeoutStopSec"]) > 20  # the default of graceful_shutdown_timeout_s


def test_the_image_is_one() -> None:
    found = instructions()
    known = {"FROM", "RUN", "WORKDIR", "COPY", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert found[0][0] == "FROM" and {name for name, _ in found} == known
    by_name = dict(found)
    assert by_name["COPY"].split()[-1] == "." and "config.yaml" in by_name["COPY"].split()
    command = json.loads(by_name["CMD"])
    assert command[:2] == ["ray_async", "serve"] and _parser().parse_args(command[2:]).target == "config.yaml"
    for name in ("RUN", "HEALTHCHECK"):
        subprocess.run(["sh", "-n", "-c", by_name[name].removeprefix("CMD ")], check=True)
    minor = re.match(r"python:3\.(\d+)-slim$", by_name["FROM"])
    assert minor is not None and int(minor[1]) >= 11


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the unit's folder has, with another port."""
    (tmp_path / "shop.py").write_text(HELD)
    (tmp_path / "config.yaml").write_text(block("yaml"))
    config = read_config(tmp_path / "config.yaml")
    assert (config.http_options.host, config.http_options.port) == ("0.0.0.0", 8000)
    (tmp_path / "config.yaml").write_text(block("yaml").replace("port: 8000", "port: 0"))
    return tmp_path


@pytest.fixture
def service(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """What the unit starts, and its address."""
    _, *words = shlex.split(unit()["Service"]["ExecStart"])
    with subprocess.Popen(
        [sys.executable, "-m", "ray_async", *words], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        watch = threading.Timer(110, process.kill)
        watch.start()
        assert process.stdout is not None
        line = next(one for one in process.stdout if one.startswith("Serving "))
        try:
            yield process, line.split()[1].replace("0.0.0.0", "127.0.0.1")
        finally:
            process.kill()
            watch.cancel()


def test_what_the_unit_starts_serves_and_drains(folder: Path, service: tuple["subprocess.Popen[str]", str]) -> None:
    process, url = service
    program = dict(instructions())["HEALTHCHECK"].removeprefix("CMD ").replace("http://127.0.0.1:8000", url)
    python = shlex.split(program)
    subprocess.run([sys.executable, *python[1:]], check=True, timeout=60)
    assert "ray_serve_" in httpx.get(f"{url}/-/metrics").text
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=60).text))
    asking.start()
    wait_until((folder / "entered").exists)
    with httpx.Client(base_url=url, timeout=60) as client:
        assert not is_ending(client)
        process.send_signal(signal.SIGTERM)  # as KillMode=mixed does
        wait_until(lambda: is_ending(client))
        (folder / "free").touch()
        assert process.wait() == 0
    asking.join()
    assert answers == ["done"]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    path = tmp_path / "models.service"
    text = block("ini").replace("/srv/models/.venv/bin/ray_async", sys.executable).replace("/srv/models", "/")
    path.write_text(text.replace("User=models", "User=root"))
    if analyze is None:  # what it would say of keys and values is in the test above
        return
    words = [analyze, "verify", "--man=no", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert "models.service" not in done.stderr, done.stderr
