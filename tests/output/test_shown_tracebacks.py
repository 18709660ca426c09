"""Tracebacks of failed tasks as pytest and IPython show them: the user's frames, and none of the engine's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import ray_async as ray
from ray_async.exceptions import GetTimeoutError

_PACKAGE = str(Path(ray.__file__).parent)
_PROGRAM = """
import asyncio
import ray_async as ray

@ray.remote
def divide(by):
    return 1 / by

async def awaited():
    return await divide.remote(0)
"""


@pytest.fixture
def session() -> Iterator[None]:
    """A session for one test."""
    with ray.init(num_cpus=1, object_store_memory=100 << 20):
        yield


def files_of(error: BaseException) -> list[str]:
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)]


def test_no_frames_are_left_of_the_engine(session: None) -> None:
    @ray.remote
    def divide(by: int) -> float:
        return 1 / by

    async def awaited() -> float:
        return await ref

    ref = divide.remote(0)
    for _ in range(3):  # nothing grows from one time to the next
        with pytest.raises(ZeroDivisionError) as caught:
            ray.get(ref)
        assert files_of(caught.value) == [__file__]
        with pytest.raises(ZeroDivisionError) as caught:
            ray.get([ref, ref])
        assert files_of(caught.value) == [__file__]
        with pytest.raises(ZeroDivisionError) as caught:
            asyncio.run(awaited())
        assert files_of(caught.value)[-1] == __file__
        assert not any(file.startswith(_PACKAGE) or ".pyx" in file for file in files_of(caught.value))
        assert caught.value.__context__ is None
    with pytest.raises(GetTimeoutError) as late:
        ray.get(ray.remote(num_cpus=2)(lambda: None).remote(), timeout=0)  # never runs
    assert files_of(late.value) == [__file__]


def test_pytest_shows_the_users_frames_alone(tmp_path: Path) -> None:
    file = tmp_path / "test_program.py"
    file.write_text(
        _PROGRAM
        + dedent("""
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def session():
            with ray.init(num_cpus=1):
                yield

        def test_get():
            ray.get(divide.remote(0))

        def test_get_list():
            ray.get([divide.remote(0)])

        def test_await():
            asyncio.run(awaited())

        def test_future():
            divide.remote(0).future().result()
        """)
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=long", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "4 failed" in done.stdout
    for clutter in ("???", "payload =", ".pyx", "_core", "raise_error", str(Path(_PACKAGE, "objects.py")), "loops.py"):
        assert clutter not in done.stdout
    assert done.stdout.count("ray.get(divide.remote(0))") >= 1
    assert done.stdout.count("return await divide.remote(0)") >= 1


def test_ipython_shows_the_users_frames_alone(tmp_path: Path) -> None:
    file = tmp_path / "program.ipy"
    file.write_text(
        _PROGRAM
        + dedent("""
        shell = get_ipython()
        with ray.init(num_cpus=1):
            shell.run_cell("ray.get(divide.remote(0))")
            shell.run_cell("asyncio.run(awaited())")
        """)
    )
    command = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--colors=nocolor",
        f"--ipython-dir={tmp_path}",
        str(file),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    shown = done.stdout + done.stderr
    assert shown.count("ZeroDivisionError: division by zero") >= 2
    for clutter in ("Could not get source", "payload", ".pyx", _PACKAGE):
        assert clutter not in shown
    assert "return await divide.remote(0)" in shown
