"""Programs in an interpreter of their own: `import ray` must not mean anything in the process of the tests."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_source import ROOT

RunProgram = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> RunProgram:
    """`run(source, *arguments)` runs a program under the shim and returns what has become of it."""

    def program(source: str, *arguments: str, shim: bool = True) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "program.py"
        file.write_text(source)
        command = [sys.executable, *(("-m", "ray_async.compat") if shim else ()), str(file), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, env=environment)

    return program
