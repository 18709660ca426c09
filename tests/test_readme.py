"""Every Python block of the README is a program: each is run as one, by an interpreter of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTPUT = {
    0: ["49", "[0, 1, 4, 9, 16]"],
    1: ["sum of the means: 8.0", "True", "item 0", "item 1", "item 2", "value 0", "value 1", "value 2", "too slow"],
    2: ["[0.01, 0.01, 0.01]", "cancelled, with all that it had started", "0.01"],
    3: [
        "[1.0, 0.5, 0.3333333333333333, 0.25]",
        "[11, 12, 13]",
        "4 ready, 4 waiting",
        "the task failed: True",
    ],
    4: ["True"],
}


def blocks() -> list[str]:
    return BLOCK.findall((ROOT / "README.md").read_text())


def test_every_block_has_its_output_here() -> None:
    assert len(blocks()) == len(OUTPUT)


@pytest.mark.parametrize("number", OUTPUT)
def test_block(number: int, tmp_path: Path) -> None:
    program = tmp_path / "readme.py"
    program.write_text(blocks()[number])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == OUTPUT[number], done.stderr


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    local = [link for link in links if "://" not in link and not link.endswith(".png")]
    assert local and [link for link in local if not (ROOT / link).is_file()] == []
