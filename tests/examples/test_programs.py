"""The examples run from beginning to end, as their readers start them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["examples.ray_basics"], [f"Results: {[i**2 for i in range(10)]}"]),
        (["examples.ray_actors"], ["Great product!", "Served by each replica: [{'requests': 10}"]),
        (["examples.stdlib_metrics", "--limit", "40", "--workers", "2"], ["40 modules", "not parsed", "worker "]),
    ],
    ids=lambda value: value[0].rpartition(".")[2] if value[0].startswith("examples.") else None,
)
def test_program(arguments: list[str], expected: list[str]) -> None:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert [words for words in expected if words not in done.stdout] == []


def test_the_tune_program(tmp_path: Path) -> None:
    """Torch is too large for the suite to install: the program runs where torch is."""
    pytest.importorskip("torch")
    command = [sys.executable, "-m", "examples.tune_experiment"]
    variables = {**os.environ, "TUNE_STORAGE_PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert "Trials: 20 of 20 (20 TERMINATED)" in done.stdout
    *_, config, loss = done.stdout.splitlines()
    assert config.startswith("Best config: {'lr': ") and float(loss.removeprefix("Best loss: ")) < 2
